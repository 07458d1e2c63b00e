// The filters of the findings, kept in the address, and the choice of colours. The script never creates markup from
// text: it only shows and hides elements that are already in the page.
'use strict';

(() => {
  const root = document.documentElement;

  const themeButton = document.querySelector('button#theme');
  if (themeButton instanceof HTMLButtonElement) {
    const dark = matchMedia('(prefers-color-scheme: dark)');
    const isDark = () => (root.dataset.theme ?? (dark.matches ? 'dark' : 'light')) === 'dark';
    const label = () => {
      themeButton.textContent = isDark() ? 'Light colours' : 'Dark colours';
    };
    themeButton.addEventListener('click', () => {
      root.dataset.theme = isDark() ? 'light' : 'dark';
      label();
    });
    dark.addEventListener('change', label);
    label();
    themeButton.hidden = false;
  }

  const form = document.querySelector('form#filters');
  const list = document.querySelector('ol#list');
  const count = document.querySelector('output#count');
  const heading = document.querySelector('h2#findings-h');
  if (!(form instanceof HTMLFormElement) || list === null || count === null) return;

  /** @typedef {{ element: HTMLElement, text: string | undefined }} Item */
  /** @type {Item[]} */
  const items = [];
  for (const element of list.children)
    if (element instanceof HTMLElement) items.push({ element, text: undefined });
  const boxes = [...form.querySelectorAll('input[type=checkbox]')].filter(
    (box) => box instanceof HTMLInputElement,
  );
  const selects = [...form.querySelectorAll('select')];
  const words = form.querySelector('input[type=search]');
  if (!(words instanceof HTMLInputElement)) return;

  /** @param {string} text */
  const fold = (text) => text.toLowerCase().replace(/\s+/g, ' ');
  /** Read once, and only when searching for words. @param {Item} item */
  const textOf = (item) => (item.text ??= fold(item.element.textContent ?? ''));

  const apply = () => {
    const severities = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
    const chosen = selects
      .filter((select) => select.value !== '')
      .map((select) => /** @type {const} */ ([select.name, select.value]));
    const wanted = fold(words.value).split(' ').filter(Boolean);
    let shown = 0;
    for (const item of items) {
      const { element } = item;
      const fits =
        (severities.size === 0 || severities.has(element.dataset.severity ?? '')) &&
        chosen.every(([name, value]) => element.dataset[name] === value) &&
        (wanted.length === 0 || wanted.every((word) => textOf(item).includes(word)));
      if (element.hidden === fits) element.hidden = !fits;
      if (fits) shown += 1;
    }
    const all = items.length.toLocaleString('en');
    count.textContent =
      shown === items.length
        ? `All ${all} findings are shown, the worst first.`
        : shown === 0
          ? `No finding of ${all} fits these filters.`
          : `${shown.toLocaleString('en')} of ${all} findings are shown, the worst first.`;
  };

  /** Writes the filters to the address, so that the link can be shared. */
  const remember = () => {
    const state = new URLSearchParams();
    const severities = boxes.filter((box) => box.checked).map((box) => box.value);
    if (severities.length > 0) state.set('severity', severities.join('.'));
    for (const { name, value } of selects) if (value !== '') state.set(name, value);
    if (words.value.trim() !== '') state.set('q', words.value);
    const hash = state.size > 0 ? `#${state}` : '#findings-h';
    try {
      history.replaceState(null, '', hash);
    } catch {
      // A frame without its own address can't keep them.
    }
  };

  /** Restores the filters from the address; a plain anchor has none. */
  const recall = () => {
    if (!location.hash.includes('=')) return;
    const state = new URLSearchParams(location.hash.slice(1));
    const severities = (state.get('severity') ?? '').split('.');
    for (const box of boxes) box.checked = severities.includes(box.value);
    for (const select of selects) {
      select.value = state.get(select.name) ?? '';
      // This report doesn't have that store or rule.
      if (select.selectedIndex === -1) select.value = '';
    }
    words.value = state.get('q') ?? '';
    apply();
  };

  let timer = 0;
  const changed = () => {
    clearTimeout(timer);
    apply();
    remember();
  };
  form.addEventListener('change', changed);
  // Not on each keystroke, or a screen reader would announce a number each time.
  words.addEventListener('input', () => {
    clearTimeout(timer);
    timer = setTimeout(changed, 200);
  });
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    changed();
  });
  // The event fires before the fields are reset.
  form.addEventListener('reset', () => setTimeout(changed));

  for (const link of document.querySelectorAll('a[data-only]'))
    link.addEventListener('click', (event) => {
      event.preventDefault();
      form.reset();
      for (const box of boxes) box.checked = box.value === link.getAttribute('data-only');
      changed();
      if (heading instanceof HTMLElement) heading.focus();
    });

  addEventListener('hashchange', recall);
  form.hidden = false;
  document.querySelector('p#unfiltered')?.setAttribute('hidden', '');
  recall();
})();
