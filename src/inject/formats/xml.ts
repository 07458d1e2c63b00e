import { checkNo, LOST, type Lexer, OTHER_FORM, type Place, place, type Refusal, refusal } from './lexer.ts';

/**
 * Character references for everything that a parser would change, and outside ASCII, so that the document's encoding
 * doesn't matter.
 */
function escape(value: string, special: RegExp): string {
  // XML 1.0 §2.2: no reference can stand for these.
  checkNo(
    value,
    /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/,
    'a control character, which XML can’t hold',
    OTHER_FORM,
  );
  return value.replace(special, (char) => `&#x${(char.codePointAt(0) as number).toString(16)};`);
}

const IN_TEXT = place('xml', (value) => escape(value, /[&<>\r\u007f-\u{10ffff}]/gu));
const IN_ATTRIBUTE = place('xml attribute', (value) => escape(value, /[&<>"'\t\r\n\u007f-\u{10ffff}]/gu));
/** Nothing can be escaped in CDATA, so the section ends and begins again. */
const IN_CDATA = place('xml cdata', (value) => `]]>${IN_TEXT.write(value)}<![CDATA[`);

const IN_TAG = refusal(
  'the placeholder stands inside of a tag',
  'put it between tags, or inside the quotes of an attribute',
);

const IN_REFERENCE = refusal('the placeholder stands behind an & that isn’t complete', 'write & as &amp;');

type Mode = 'text' | 'open' | 'tag' | 'instruction' | 'comment' | 'cdata' | 'doctype' | 'lost';
const ENDS: Partial<Readonly<Record<Mode, string>>> = { instruction: '?>', comment: '-->', cdata: ']]>' };

export class XmlLexer implements Lexer {
  #mode: Mode = 'text';
  #quote = '';
  /** The last characters, for delimiters of several. */
  #tail = '';

  feed(text: string): undefined {
    for (const char of text) this.#read(char);
  }

  #read(char: string): void {
    this.#tail = (this.#tail + char).slice(-9);
    const end = ENDS[this.#mode];
    if (end !== undefined) {
      if (this.#tail.endsWith(end)) this.#to('text');
    } else if (this.#mode === 'text') {
      if (char === '<') {
        this.#to('open');
        this.#tail = '<';
      }
    } else if (this.#mode === 'open') this.#opened(char);
    else if (this.#mode !== 'lost') this.#inTag(char);
  }

  /** Between `<` and the point where it is known what begins. */
  #opened(char: string): void {
    if (this.#tail === '<!--') this.#to('comment');
    else if (this.#tail === '<![CDATA[') this.#to('cdata');
    else if (this.#tail === '<?') this.#to('instruction');
    else if (this.#tail === '<!DOCTYPE') this.#to('doctype');
    else if (!['<!--', '<![CDATA[', '<!DOCTYPE'].some((begin) => begin.startsWith(this.#tail))) {
      this.#mode = 'tag';
      this.#inTag(char);
    }
  }

  #inTag(char: string): void {
    if (this.#quote !== '') {
      if (char === this.#quote) this.#quote = '';
    } else if (char === '"' || char === "'") this.#quote = char;
    // Declarations of the document's own could give every reference another meaning.
    else if (char === '[' && this.#mode === 'doctype') this.#mode = 'lost';
    else if (char === '>') this.#to('text');
  }

  #to(mode: Mode): void {
    this.#mode = mode;
    this.#tail = '';
  }

  place(): Place | Refusal | 'comment' {
    const isOpen = /&[#\w]*$/.test(this.#tail);
    this.#tail = '';
    switch (this.#mode) {
      case 'text':
        return isOpen ? IN_REFERENCE : IN_TEXT;
      case 'cdata':
        return IN_CDATA;
      case 'comment':
        return 'comment';
      case 'tag':
        if (this.#quote === '') return IN_TAG;
        return isOpen ? IN_REFERENCE : IN_ATTRIBUTE;
      case 'lost':
        return LOST;
      default:
        return IN_TAG;
    }
  }

  end(): undefined {}
}
