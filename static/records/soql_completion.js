// What can stand at a place in a SOQL query. Knows no page: the text, the place and the objects are given.
"use strict";
(() => {
  const TOKEN = /'(?:\\[\s\S]|[^'\\])*'?|[A-Za-z_][\w.]*(?::-?\d*)?|\d[\w.:+-]*|[<>!]=|\S/g;
  const CLAUSES = ["SELECT", "FROM", "WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "OFFSET"];
  const OPERATORS = ["=", "!=", "<", "<=", ">", ">=", "LIKE"];
  const LISTS = ["IN", "INCLUDES", "EXCLUDES"];
  const FUNCTIONS = ["COUNT", "COUNT_DISTINCT", "SUM", "AVG", "MIN", "MAX"];
  const DAYS = [
    "TODAY", "YESTERDAY", "TOMORROW", "LAST_N_DAYS:7", "NEXT_N_DAYS:7", "THIS_WEEK", "LAST_WEEK", "NEXT_WEEK",
    "THIS_MONTH", "LAST_MONTH", "NEXT_MONTH", "LAST_90_DAYS", "NEXT_90_DAYS", "THIS_QUARTER", "LAST_QUARTER",
    "NEXT_QUARTER", "THIS_YEAR", "LAST_YEAR", "NEXT_YEAR", "LAST_N_WEEKS:4", "LAST_N_MONTHS:3", "LAST_N_YEARS:2",
  ];

  const tokens = (text) =>
    [...text.matchAll(TOKEN)].map((found) => ({
      text: found[0],
      upper: found[0].toUpperCase(),
      start: found.index,
      end: found.index + found[0].length,
      isText: found[0].startsWith("'"),
      isWord: /^[A-Za-z_]/.test(found[0]),
    }));

  const keyword = (name, detail = "keyword") => ({ insert: `${name} `, name, detail, again: true });
  const value = (name, detail) => ({ insert: name, name, detail });

  // The queries inside each other, with the tokens of each; `here` is the one at `at`.
  const scopesOf = (all, at) => {
    const root = { parent: null, within: "", tokens: [], source: null };
    const open = [root];
    let here = null;
    all.forEach((token, index) => {
      if (here === null && token.start >= at) {
        here = open[open.length - 1];
      }
      const scope = open[open.length - 1];
      if (token.text === "(") {
        const isQuery = all[index + 1]?.upper === "SELECT";
        scope.tokens.push(token);
        open.push(isQuery ? { parent: scope, within: clauseOf(scope.tokens), tokens: [], source: null } : scope);
        return;
      }
      if (token.text === ")" && open.length > 1) {
        open.pop();
        open[open.length - 1].tokens.push(token);
        return;
      }
      if (scope.tokens[scope.tokens.length - 1]?.upper === "FROM" && token.isWord) {
        scope.source ??= token.text;
      }
      scope.tokens.push(token);
    });
    return here ?? open[open.length - 1];
  };

  const clauseOf = (before) => {
    for (let index = before.length - 1; index >= 0; index--) {
      if (CLAUSES.includes(before[index].upper)) {
        return before[index].upper;
      }
    }
    return "";
  };

  class Completion {
    constructor(objects, load, fallback) {
      this.objects = objects;
      this.load = load;
      this.fallback = fallback;
    }

    async objectOf(scope) {
      if (!scope.source) {
        return scope.parent ? null : this.load(this.fallback);
      }
      if (scope.parent && scope.within === "SELECT") {
        const above = await this.objectOf(scope.parent);
        const child = above?.children.find((one) => one.name.toLowerCase() === scope.source.toLowerCase());
        return child ? this.load(child.target) : null;
      }
      return this.load(scope.source);
    }

    // The object at the end of a path of relationships; the object's own name may come first.
    async follow(object, path) {
      let found = object;
      for (const [index, name] of path.entries()) {
        const field = found?.fields.find((one) => one.relationship.toLowerCase() === name.toLowerCase());
        if (field?.relationship) {
          found = await this.load(field.target);
        } else if (index > 0 || found?.name.toLowerCase() !== name.toLowerCase()) {
          return null;
        }
      }
      return found;
    }

    async field(object, path) {
      const names = path.split(".");
      const last = names.pop().toLowerCase();
      const owner = await this.follow(object, names);
      return owner?.fields.find((one) => one.name.toLowerCase() === last) ?? null;
    }

    fieldsOf(object) {
      if (!object) {
        return [];
      }
      const fields = object.fields.map((one) => ({ insert: one.name, name: one.name, label: one.label, detail: `${one.label} · ${one.type}` }));
      const parents = object.fields
        .filter((one) => one.relationship)
        .map((one) => ({ insert: `${one.relationship}.`, name: `${one.relationship}.`, detail: `parent · ${one.target}`, again: true }));
      return [...fields, ...parents];
    }

    functions() {
      return FUNCTIONS.map((name) => ({ insert: `${name}(`, name: `${name}(`, detail: "function", again: true }));
    }

    valuesOf(field) {
      if (!field) {
        return [value("null", "value")];
      }
      const none = value("null", "no value");
      if (field.type === "boolean") {
        return [value("true", "value"), value("false", "value")];
      }
      if (field.type === "date" || field.type === "datetime") {
        return [...DAYS.map((name) => value(name, "date")), none];
      }
      const quoted = field.values.map((one) => value(`'${one.replace(/[\\']/g, "\\$&")}'`, "picklist value"));
      return [...quoted, none];
    }

    async candidates(scope, before) {
      const last = before[before.length - 1];
      const second = before[before.length - 2];
      const previous = last?.upper ?? "";
      const object = await this.objectOf(scope);
      switch (clauseOf(before)) {
        case "":
          return previous === "" ? [keyword("SELECT")] : [];
        case "SELECT":
          return this.inSelect(object, scope, previous, second);
        case "FROM":
          return this.inFrom(scope, previous);
        case "WHERE":
        case "HAVING":
          return this.inCondition(object, before, previous);
        case "GROUP":
          if (previous === "GROUP") return [keyword("BY")];
          if (previous === "BY" || previous === "," || previous === "(") return this.fieldsOf(object);
          return ["HAVING", "ORDER BY", "LIMIT"].map((name) => keyword(name));
        case "ORDER":
          if (previous === "ORDER") return [keyword("BY")];
          if (previous === "BY" || previous === "," || previous === "(") return [...this.fieldsOf(object), ...(previous === "(" ? [] : this.functions())];
          return ["ASC", "DESC", "NULLS FIRST", "NULLS LAST", "LIMIT", "OFFSET"].map((name) => keyword(name));
        case "LIMIT":
          return previous === "LIMIT" ? [] : [keyword("OFFSET")];
        default:
          return [];
      }
    }

    inSelect(object, scope, previous, second) {
      if (previous === "(") {
        return FUNCTIONS.includes(second?.upper) ? this.fieldsOf(object) : [keyword("SELECT")];
      }
      if (previous !== "SELECT" && previous !== ",") {
        return scope.source ? [] : [keyword("FROM")];
      }
      const children = scope.parent
        ? []
        : (object?.children ?? []).map((one) => value(`(SELECT Id FROM ${one.name})`, `children · ${one.target}`));
      return [...this.fieldsOf(object), ...this.functions(), ...children];
    }

    async inFrom(scope, previous) {
      if (previous !== "FROM") {
        return ["WHERE", "ORDER BY", "GROUP BY", "LIMIT"].map((name) => keyword(name));
      }
      if (scope.parent && scope.within === "SELECT") {
        const above = await this.objectOf(scope.parent);
        return (above?.children ?? []).map((one) => value(one.name, `children · ${one.target}`));
      }
      return this.objects.map((one) => ({ insert: one.name, name: one.name, label: one.label, detail: one.label }));
    }

    async inCondition(object, before, previous) {
      const at = before.length - 1;
      const beforeThat = before[at - 1]?.upper ?? "";
      // `Status IN ('New', …`: the list and the field before it.
      let opened = at;
      while (opened >= 0 && (before[opened].text === "," || before[opened].isText || /^[\w.:+-]+$/.test(before[opened].text)) && before[opened].text !== "(") {
        opened--;
      }
      const isList = before[opened]?.text === "(" && LISTS.includes(before[opened - 1]?.upper);
      if (isList && (previous === "(" || previous === ",")) {
        const index = before[opened - 2]?.upper === "NOT" ? opened - 3 : opened - 2;
        const values = this.valuesOf(await this.field(object, before[index]?.text ?? "")).filter((one) => one.name !== "null");
        return previous === "(" ? [...values, keyword("SELECT", "sub-query")] : values;
      }
      if (["WHERE", "HAVING", "AND", "OR", "("].includes(previous) || (previous === "NOT" && !before[at - 1]?.isWord) || (previous === "NOT" && ["WHERE", "AND", "OR"].includes(beforeThat))) {
        return [...this.fieldsOf(object), keyword("NOT"), ...(clauseOf(before) === "HAVING" ? this.functions() : [])];
      }
      if (previous === "NOT") {
        return [{ insert: "IN (", name: "IN (", detail: "operator", again: true }];
      }
      if (OPERATORS.includes(previous)) {
        return this.valuesOf(await this.field(object, before[at - 1]?.text ?? ""));
      }
      const isField = before[at]?.isWord && !OPERATORS.includes(beforeThat) && (await this.field(object, before[at].text));
      if (isField) {
        return [
          ...OPERATORS.map((name) => keyword(name, "operator")),
          { insert: "IN (", name: "IN (", detail: "operator", again: true },
          { insert: "NOT IN (", name: "NOT IN (", detail: "operator", again: true },
        ];
      }
      return ["AND", "OR", "ORDER BY", "GROUP BY", "LIMIT"].map((name) => keyword(name));
    }
  }

  const ranked = (items, typed) => {
    const wanted = typed.toLowerCase();
    if (!wanted) {
      return items;
    }
    const bare = (item) => item.name.toLowerCase().replace(/^'/, "");
    const first = items.filter((item) => bare(item).startsWith(wanted));
    const later = items.filter((item) => !first.includes(item) && (bare(item).includes(wanted) || item.label?.toLowerCase().includes(wanted)));
    return [...first, ...later];
  };

  // Returns { start, end, items }: what may take the place of the text from start to end.
  const complete = async (text, caret, { objects, load, fallback }) => {
    const nothing = { start: caret, end: caret, items: [] };
    const all = tokens(text);
    const current = all.find((token) => token.start < caret && caret <= token.end && (token.isWord || token.isText));
    const isClosed = current?.isText && current.text.length > 1 && current.text.endsWith("'");
    if (current?.isText && isClosed && caret === current.end) {
      return nothing;
    }
    if (!current && /\d/.test(text[caret - 1] ?? "")) {
      return nothing;
    }
    const start = current ? current.start : caret;
    const scope = scopesOf(all, start);
    const before = scope.tokens.filter((token) => token.end <= start);
    const completion = new Completion(objects, load, fallback);
    if (current?.isText) {
      const typed = text.slice(start + 1, caret);
      const items = ranked((await completion.candidates(scope, before)).filter((item) => item.name.startsWith("'")), typed);
      return { start, end: current.end, items: current.text.includes("\n") && !isClosed ? [] : items };
    }
    const word = text.slice(start, caret);
    const dot = word.lastIndexOf(".");
    if (dot >= 0) {
      const owner = await completion.follow(await completion.objectOf(scope), word.slice(0, dot).split("."));
      const typed = word.slice(dot + 1);
      return { start: start + dot + 1, end: caret, items: unlessDone(ranked(completion.fieldsOf(owner), typed), typed) };
    }
    return { start, end: caret, items: unlessDone(ranked(await completion.candidates(scope, before), word), word) };
  };

  // Whoever wrote the whole word is not offered it again.
  const unlessDone = (items, typed) => (items.length === 1 && items[0].name.toLowerCase() === typed.toLowerCase() ? [] : items);

  window.isthmusSoql = { complete, tokens };
})();
