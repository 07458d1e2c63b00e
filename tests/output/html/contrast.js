// In the page: the contrast of each pair of colours in which something is shown, by WCAG 2.2. `text` wants 4.5
// (criterion 1.4.3), `shape` (edges of fields, bars of charts) 3 (1.4.11).
(() => {
  /** @typedef {readonly [number, number, number]} Colour */
  /** @param {string} text @returns {Colour | undefined} undefined for a transparent one */
  const parse = (text) => {
    const [red = 0, green = 0, blue = 0, alpha = 1] = (text.match(/[\d.]+/g) ?? []).map(Number);
    if (alpha !== 0 && alpha !== 1) throw new Error(`a colour that is seen through: ${text}`);
    return alpha === 0 ? undefined : [red, green, blue];
  };
  /** @param {Colour} colour */
  const luminance = (colour) => {
    const [red = 0, green = 0, blue = 0] = colour.map((part) =>
      part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4,
    );
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  /** @param {Element} element @returns {Colour} */
  const groundOf = (element) => {
    for (let place = /** @type {Element | null} */ (element); place !== null; place = place.parentElement) {
      const colour = parse(getComputedStyle(place).backgroundColor);
      if (colour !== undefined) return colour;
    }
    throw new Error('no ground');
  };

  /** @type {Map<string, { kind: 'text' | 'shape', where: string, ratio: number }>} */
  const pairs = new Map();
  /** @param {'text' | 'shape'} kind @param {Element} element @param {string} front @param {Colour} back */
  const add = (kind, element, front, back) => {
    const colour = parse(front);
    if (colour === undefined) return;
    const [dark = 0, light = 0] = [luminance(colour), luminance(back)].sort((a, b) => a - b);
    const where = `${element.parentElement?.className.toString() ?? ''} > ${element.localName}.${element.getAttribute('class') ?? ''}`;
    const ratio = (light + 0.05) / (dark + 0.05);
    const key = `${kind} ${front} ${back.join()}`;
    if (!pairs.has(key)) pairs.set(key, { kind, where, ratio });
  };
  for (const element of document.querySelectorAll('body *')) {
    if (element.closest('script, noscript, title, desc') !== null) continue;
    const style = getComputedStyle(element);
    if (/^(button|input|select)$/.test(element.localName))
      add('shape', element, style.borderTopColor, groundOf(element.parentElement ?? element));
    if (element.localName === 'rect' && element.closest('.heat') === null)
      add('shape', element, style.fill, groundOf(element));
    const shown = [...element.childNodes].some(
      (node) => node.nodeType === Node.TEXT_NODE && (node.textContent ?? '').trim() !== '',
    );
    if (!shown) continue;
    if (element.localName === 'text') {
      const under = element.parentElement?.querySelector(':scope > rect');
      const cell = under && element.closest('g') !== null ? parse(getComputedStyle(under).fill) : undefined;
      add('text', element, style.fill, cell ?? groundOf(element));
    } else add('text', element, style.color, groundOf(element));
  }
  return [...pairs.values()];
})();
