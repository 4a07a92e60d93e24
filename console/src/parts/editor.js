// The editor of statements. It stands in a shadow root, where CodeMirror adopts its styles as sheets: the page's policy
// allows no style element.
import { acceptCompletion, autocompletion, closeBrackets, closeBracketsKeymap, closeCompletion, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { SQLDialect, sql } from "@codemirror/lang-sql";
import { HighlightStyle, bracketMatching, syntaxHighlighting } from "@codemirror/language";
import { setDiagnostics } from "@codemirror/lint";
import { Compartment, EditorState, Prec } from "@codemirror/state";
import { EditorView, drawSelection, highlightActiveLine, highlightSpecialChars, keymap, lineNumbers, placeholder } from "@codemirror/view";
import { tags } from "@lezer/highlight";

const TYPES = "array bigint binary boolean char date decimal double float int integer json map real row smallint string struct timestamp tinyint varbinary varchar";
const HOUR = /\binserted_at\s*(?:=|>=|<=|<>|<|>|(?:not\s+)?between|between\s+'[^']*'\s+and|in\s*\([^)]*)\s*'([0-9/]*)$/i;

const looks = HighlightStyle.define([
  { tag: tags.keyword, color: "var(--accent)", fontWeight: "600" },
  { tag: [tags.string, tags.special(tags.string)], color: "var(--good)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--series-2)" },
  { tag: [tags.comment, tags.lineComment, tags.blockComment], color: "var(--quiet)", fontStyle: "italic" },
  { tag: [tags.typeName, tags.standard(tags.name)], color: "var(--series-3)" },
]);

const theme = EditorView.theme({
  "&": { color: "var(--text)", backgroundColor: "var(--page)", fontSize: "13px" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.5", minHeight: "130px", maxHeight: "42vh" },
  ".cm-content": { caretColor: "var(--text)", padding: "6px 0" },
  ".cm-cursor": { borderLeftColor: "var(--text)" },
  ".cm-gutters": { backgroundColor: "var(--raised)", color: "var(--quiet)", border: "0" },
  ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "transparent" },
  "&.cm-focused .cm-activeLine": { backgroundColor: "color-mix(in srgb, var(--raised) 60%, transparent)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": { backgroundColor: "var(--accent-back)" },
  ".cm-placeholder": { color: "var(--quiet)" },
  ".cm-tooltip": { backgroundColor: "var(--page)", color: "var(--text)", border: "1px solid var(--strong-line)", borderRadius: "4px" },
  ".cm-tooltip-autocomplete > ul > li[aria-selected]": { backgroundColor: "var(--accent)", color: "var(--on-accent)" },
  ".cm-completionDetail": { color: "inherit", opacity: "0.8", fontStyle: "normal", marginLeft: "1em" },
  ".cm-diagnostic-error": { borderLeft: "3px solid var(--bad)" },
  ".cm-lintRange-error": { backgroundImage: "none", textDecoration: "underline wavy var(--bad) 1px", textUnderlineOffset: "3px" },
  ".cm-matchingBracket": { backgroundColor: "var(--accent-back) !important" },
});

/** The language with what the warehouse has: /v1/completion. */
function language({ tables = [], functions = [], keywords = [] }) {
  const dialect = SQLDialect.define({
    keywords: keywords.join(" ").toLowerCase(),
    builtin: functions.map((each) => each.name).join(" "),
    types: TYPES,
    doubleQuotedStrings: false,
    identifierQuotes: '"',
  });
  const schema = Object.fromEntries(tables.map(({ name, columns }) => [name, columns.map((each) => ({ label: each.name, detail: each.type, type: "property" }))]));
  const offer = (label, type) => (type === "variable" ? { label, apply: `${label}(`, type: "function", detail: "function", boost: -1 } : { label, type, boost: -2 });

  const columnsOfTables = (context) => {
    const word = context.matchBefore(/[\w$]+/);
    if ((!word && !context.explicit) || /[.'"]$/.test(context.state.sliceDoc(0, word?.from ?? context.pos).slice(-1))) return null;
    const text = context.state.doc.toString().toLowerCase();
    const named = tables.filter(({ name }) => new RegExp(`(^|[^\\w$])${name.toLowerCase().replace(/[$]/g, "\\$&")}([^\\w$]|$)`).test(text));
    const options = named.flatMap(({ name, columns: of }) => of.map((each) => ({ label: each.name, detail: `${each.type}, ${name}`, type: "property", boost: 1 })));
    return { from: word?.from ?? context.pos, options, validFor: /^[\w$]*$/ };
  };
  const hours = (context) => {
    const found = HOUR.exec(context.state.sliceDoc(Math.max(0, context.pos - 300), context.pos));
    if (!found) return null;
    const text = context.state.doc.toString();
    const newest = tables.filter(({ name, newest_hour: hour }) => hour && text.includes(name)).map((each) => each.newest_hour).sort().at(-1);
    return newest ? { from: context.pos - found[1].length, options: hoursUntil(newest), validFor: /^[0-9/]*$/ } : null;
  };
  return [
    sql({ dialect, schema, keywordCompletion: offer }),
    dialect.language.data.of({ autocomplete: columnsOfTables }),
    dialect.language.data.of({ autocomplete: hours }),
  ];
}

/** The newest hour and those before it, and the days before those. */
function hoursUntil(newest) {
  const last = Date.parse(`${newest.slice(0, 10).replaceAll("/", "-")}T${newest.slice(11)}:00:00Z`);
  return Array.from({ length: 72 }, (_, back) => {
    const at = new Date(last - back * 3_600_000).toISOString();
    return { label: at.slice(0, 13).replaceAll("-", "/").replace("T", "/"), detail: back ? `${back} h before the newest` : "the newest hour", type: "constant", boost: -back };
  });
}

export class Editor {
  constructor(host, { text, onChange, onRun }) {
    this.language = new Compartment();
    const root = host.shadowRoot ?? host.attachShadow({ mode: "open" });
    root.replaceChildren();
    const run = () => (onRun(), true);
    this.view = new EditorView({
      parent: root,
      root,
      state: EditorState.create({
        doc: text,
        extensions: [
          Prec.highest(keymap.of([{ key: "Mod-Enter", run }, { key: "Tab", run: acceptCompletion }])),
          keymap.of([...closeBracketsKeymap, ...completionKeymap, ...historyKeymap, ...defaultKeymap]),
          lineNumbers(), highlightSpecialChars(), history(), drawSelection(), bracketMatching(), closeBrackets(), highlightActiveLine(),
          autocompletion({ icons: false, maxRenderedOptions: 60 }),
          syntaxHighlighting(looks), theme, EditorView.lineWrapping,
          placeholder("select … from … where inserted_at >= '…'"),
          this.language.of(language({})),
          EditorView.contentAttributes.of({ "aria-label": "SQL statement" }),
          EditorView.updateListener.of((update) => update.docChanged && onChange(update.state.doc.toString())),
        ],
      }),
    });
  }
  get text() {
    return this.view.state.doc.toString();
  }
  set text(text) {
    if (text !== this.text) this.view.dispatch({ changes: { from: 0, to: this.view.state.doc.length, insert: text } });
  }
  insert(text) {
    this.view.dispatch(this.view.state.replaceSelection(text));
    this.view.focus();
  }
  know(what) {
    this.view.dispatch({ effects: this.language.reconfigure(language(what)) });
  }
  /** Mark where an error is: a line and a column, from 1; without them nothing. */
  mark(error) {
    const found = [];
    const { doc } = this.view.state;
    if (error?.line && error.line <= doc.lines) {
      const line = doc.line(error.line);
      const from = Math.min(line.from + Math.max(0, (error.column ?? 1) - 1), line.to);
      const word = /^[\w$.]+|^\S/.exec(doc.sliceString(from, line.to))?.[0] ?? "";
      const begin = word ? from : Math.max(line.from, from - 1);
      found.push({ from: begin, to: Math.max(begin, from + word.length), severity: "error", message: error.message });
    }
    this.view.dispatch(setDiagnostics(this.view.state, found));
  }
  focus() {
    this.view.focus();
  }
  /** Offer nothing any more. */
  settle() {
    closeCompletion(this.view);
  }
  destroy() {
    this.view.destroy();
  }
}
