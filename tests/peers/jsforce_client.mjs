// A client by other authors (npm's jsforce) at the record API, through everything that it does with records.
// Reads one JSON line from standard input: {"instanceUrl", "accessToken", "version"}; prints what it got as one JSON line.
import { createInterface } from 'node:readline';
import jsforce from 'jsforce';

const line = await new Promise((resolve) => createInterface({ input: process.stdin }).once('line', resolve));
const { instanceUrl, accessToken, version } = JSON.parse(line);
const connection = new jsforce.Connection({ instanceUrl, accessToken, version });
const got = {};

/** Returns what a refused call tells: its code, its message and what came with it. */
async function refused(call) {
  try {
    return { unexpected: await call() };
  } catch (error) {
    return { name: error.name, errorCode: error.errorCode, message: error.message, data: error.data ?? null };
  }
}

// What there is.
got.versions = await connection.request('/services/data');
got.identity = await connection.identity();
got.userInfo = connection.userInfo;
got.global = await connection.describeGlobal();
got.describe = await connection.describe('Contact');
got.described = await connection.sobject('Contact').describe();
got.limits = await connection.limits();
got.usage = connection.limitInfo;
got.tabs = await connection.tabs();
got.theme = await connection.theme();

// Single records.
const accounts = connection.sobject('Account');
got.created = await accounts.create({ Name: 'Acme', NumberOfEmployees: 12, AnnualRevenue: 10.5 });
const id = got.created.id;
got.retrieved = await accounts.retrieve(id);
got.some = await connection.retrieve('Account', id, { fields: ['Name', 'AnnualRevenue'] });
got.updated = await accounts.update({ Id: id, Phone: '1', attributes: { type: 'Account' } });
got.record = await accounts.record(id).retrieve();
const key = 'External_Reference__c';
got.upserted = await connection.upsert('Contact', { [key]: 'R-1/ü', LastName: 'Ann' }, key);
got.upsertedAgain = await connection.upsert('Contact', { [key]: 'R-1/ü', LastName: 'Bob', AccountId: id }, key);

// Many records: 250 of them, in as many requests as it takes.
const rows = Array.from({ length: 250 }, (_, number) => ({ LastName: `C${String(number).padStart(5, '0')}`, AccountId: id }));
got.createdMany = await connection.create('Contact', rows, { allowRecursive: true });
const ids = got.createdMany.map((one) => one.id);
got.retrievedMany = await connection.retrieve('Contact', [ids[1], '003000000000000AAA', ids[0]], { fields: ['LastName'] });
got.retrievedWhole = await connection.retrieve('Contact', ids.slice(0, 1));
got.updatedMany = await connection.update('Contact', ids.slice(0, 3).map((one) => ({ Id: one, FirstName: 'F' })));
got.upsertedMany = await connection.upsert('Contact', [{ [key]: 'R-1/ü', FirstName: 'B' }, { [key]: 'R-2', LastName: 'Cem' }, { [key]: 'R-3' }], key);
got.allOrNone = await connection.create('Account', [{ Name: 'Kept?' }, {}], { allOrNone: true });
got.destroyedMany = await connection.destroy('Contact', [ids[249], ids[249]]);

// Queries.
const soql = 'SELECT Id, LastName FROM Contact ORDER BY LastName';
const paged = { headers: { 'Sforce-Query-Options': 'batchSize=200' } };
got.first = await connection.query(soql, paged);
got.more = await connection.queryMore(got.first.nextRecordsUrl);
got.fetched = await connection.query(soql, { autoFetch: true, maxFetch: 10_000, ...paged });
got.capped = (await connection.query(soql, { autoFetch: true, maxFetch: 230, ...paged })).records.length;
got.evented = await new Promise((resolve, reject) => {
  const seen = [];
  connection.query(soql).on('record', (record) => seen.push(record.LastName)).on('end', () => resolve(seen.length)).on('error', reject)
    .run({ autoFetch: true, ...paged });
});
got.scanned = (await connection.query('SELECT Id FROM Contact', { scanAll: true })).totalSize;
got.counted = await connection.sobject('Contact').count({ FirstName: 'F' });
got.aggregated = (await connection.query('SELECT FirstName f, COUNT(Id) n FROM Contact GROUP BY FirstName ORDER BY COUNT(Id) DESC')).records;

const { SfDate } = jsforce;
got.built = await connection.sobject('Account')
  .find({ $or: [{ Name: { $like: 'A%' } }, { Name: { $in: ['x', 'y'] } }], AnnualRevenue: { $gte: 10, $lt: 11 }, CreatedDate: { $gte: SfDate.TODAY, $lte: SfDate.toDateTimeLiteral(new Date(Date.now() + 60_000)) }, Industry: null, Phone: { $ne: null }, Fax: { $exists: false } })
  .select('Id, Name, CreatedDate, Owner.Username')
  .include('Contacts').select('LastName').where({ FirstName: 'F', LastName: { $nlike: 'x%', $nin: ['y'] } }).sort({ LastName: -1 }).limit(2).end()
  .sort('-CreatedDate').limit(5).skip(0)
  .execute();
got.one = await connection.sobject('Contact').findOne({ LastName: "C00001" }, { LastName: 1, 'Account.Name': 1 });
got.quoted = await connection.sobject('Contact').find({ LastName: "O'Neill \\ \"x\"" }).select('Id').execute();
got.every = await connection.sobject('Contact').find({ LastName: 'C00002' }).execute();
got.explained = await connection.query(soql).explain();

// A query that writes.
got.massUpdated = await connection.sobject('Contact').find({ FirstName: 'F' }).update({ Title: 'Dr', Description: '${LastName}' });
got.massDestroyed = await connection.sobject('Contact').find({ LastName: 'C00010' }).destroy();

// Search, what happened lately, raw requests.
got.search = await connection.search('FIND {acme} IN NAME FIELDS RETURNING Account(Id, Name), Contact(Id)');
got.recent = await connection.recent(2);
got.recentOf = await accounts.recent();
const [from, until] = [new Date(Date.now() - 3_600_000), new Date(Date.now() + 60_000)];
got.changed = await accounts.updated(from, until);
got.gone = await connection.deleted('Contact', from.toISOString(), until.toISOString());
const base = `/services/data/v${connection.version}`;
got.composite = await connection.requestPost('/composite', {
  allOrNone: true,
  compositeRequest: [
    { method: 'POST', url: `${base}/sobjects/Account`, referenceId: 'made', body: { Name: 'Cog' } },
    { method: 'GET', url: `${base}/query?q=${encodeURIComponent("SELECT Name FROM Account WHERE Id = '@{made.id}'")}`, referenceId: 'found' },
  ],
});
got.patched = await connection.requestPatch(`/sobjects/Account/${id}`, { Fax: '2' });
got.got = await connection.requestGet(`${instanceUrl}${base}/sobjects/Account/${id}?fields=Fax`);

// Refusals.
got.refusals = {
  field: await refused(() => accounts.create({ Nmae: 'x', Name: 'y' })),
  missing: await refused(() => connection.sobject('Lead').create({ FirstName: 'x' })),
  object: await refused(() => connection.sobject('Nothing__c').describe()),
  record: await refused(() => accounts.retrieve('001000000000000AAA')),
  query: await refused(() => connection.query('SELECT FROM Account')),
  column: await refused(() => connection.query('SELECT Nmae FROM Account')),
  locator: await refused(() => connection.queryMore('01g000000000000AAA-200')),
  search: await refused(() => connection.search('acme')),
  deleted: await refused(() => connection.destroy('Contact', ids[249])),
  session: await refused(() => new jsforce.Connection({ instanceUrl, accessToken: '00D000000000001!none', version }).describeGlobal()),
};
got.several = await refused(() => connection.requestGet(`/sobjects/Contact/${key}/twice`));

got.destroyed = await accounts.destroy(id);

console.log(JSON.stringify(got));
