// An authorization server by other authors (the certified package oidc-provider), set up for the tests.
// Reads one JSON line from standard input: {"port", "redirectUri", "publicKeyPem", "shortTokens"}; prints "ready".
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { createInterface } from 'node:readline';
import { importJWK, jwtVerify } from 'jose';
import { Provider } from 'oidc-provider';

const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const line = await new Promise((resolve) => createInterface({ input: process.stdin }).once('line', resolve));
const { port, redirectUri, publicKeyPem, accessTokenSeconds } = JSON.parse(line);
const publicJwk = { ...createPublicKey(publicKeyPem).export({ format: 'jwk' }), kid: 'ours', use: 'sig', alg: 'RS256' };
const signing = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' });
const machine = { response_types: [], redirect_uris: [] };

const provider = new Provider(`http://127.0.0.1:${port}`, {
  jwks: { keys: [{ ...signing, kid: 'signing', use: 'sig', alg: 'RS256' }] },
  clients: [
    { client_id: 'machine', client_secret: 'machine secret: 50% of it/+', grant_types: ['client_credentials', TOKEN_EXCHANGE], ...machine },
    { client_id: 'poster', client_secret: 'poster-secret', token_endpoint_auth_method: 'client_secret_post', grant_types: ['client_credentials'], ...machine },
    { client_id: 'signer', token_endpoint_auth_method: 'private_key_jwt', grant_types: ['client_credentials'], ...machine, jwks: { keys: [publicJwk] } },
    { client_id: 'bearer', client_secret: 'bearer-secret', grant_types: [JWT_BEARER], ...machine },
    { client_id: 'web', client_secret: 'web-secret', grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'], redirect_uris: [redirectUri] },
  ],
  cookies: { keys: ['test'] },
  features: {
    clientCredentials: { enabled: true },
    introspection: { enabled: true },
    revocation: { enabled: true },
    devInteractions: { enabled: true },
  },
  scopes: ['openid', 'offline_access', 'api'],
  ttl: { AccessToken: accessTokenSeconds, ClientCredentials: accessTokenSeconds, RefreshToken: 3600, Session: 3600, Grant: 3600, Interaction: 600 },
  pkce: { required: () => true },
  rotateRefreshToken: true,
  issueRefreshToken: async () => true,
  async findAccount(_ctx, id) {
    return { accountId: id, async claims() { return { sub: id }; } };
  },
});

const key = await importJWK(publicJwk);
async function granted(ctx, accountId, gty) {
  const token = new provider.AccessToken({ accountId, client: ctx.oidc.client, gty, scope: 'api', expiresWithSession: false });
  ctx.body = { access_token: await token.save(), expires_in: token.expiration, token_type: token.tokenType, scope: token.scope };
}
provider.registerGrantType(JWT_BEARER, async (ctx) => {
  try {
    const { payload } = await jwtVerify(ctx.oidc.params.assertion, key, {
      audience: [provider.issuer, `${provider.issuer}/token`], algorithms: ['RS256'], requiredClaims: ['sub', 'exp', 'iss'],
    });
    await granted(ctx, payload.sub, 'jwt_bearer');
  } catch (error) {
    ctx.status = 400;
    ctx.body = { error: 'invalid_grant', error_description: error.message };
  }
}, ['assertion', 'scope'], []);
provider.registerGrantType(TOKEN_EXCHANGE, async (ctx) => {
  const found = await provider.ClientCredentials.find(ctx.oidc.params.subject_token);
  if (!found) {
    ctx.status = 400;
    ctx.body = { error: 'invalid_grant', error_description: 'unknown subject token' };
    return;
  }
  await granted(ctx, `exchanged:${found.clientId}`, 'token_exchange');
}, ['subject_token', 'subject_token_type', 'actor_token', 'actor_token_type', 'audience', 'resource', 'scope'], []);

provider.listen(port, '127.0.0.1', () => console.log('ready'));
