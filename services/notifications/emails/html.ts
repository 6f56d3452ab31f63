/** Markup that holds nothing unescaped. */
export class Html {
  readonly markup: string;

  constructor(markup: string) {
    this.markup = markup;
  }
}

const ESCAPES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** A template of HTML: what is put into it is escaped, unless it is a template itself, or a list of them. */
export function html(fixed: TemplateStringsArray, ...parts: (string | Html | readonly Html[])[]): Html {
  return new Html(fixed.reduce((markup, text, index) => `${markup}${escaped(parts[index - 1] ?? '')}${text}`));
}

function escaped(part: string | Html | readonly Html[]): string {
  if (typeof part === 'string') return part.replaceAll(/[&<>"']/g, (character) => ESCAPES[character] ?? '');
  return part instanceof Html ? part.markup : part.map(escaped).join('');
}
