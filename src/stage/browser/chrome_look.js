// Returns what a user sees of the page: {url, title, html, fields, buttons}.
// A selector with ` >>> ` leads into an open shadow root.
(() => {
  const LIMIT = 512 * 1024;
  const all = [];
  const collect = root => {
    for (const el of root.querySelectorAll('input,select,textarea,button,a,[role=button]')) all.push(el);
    for (const el of root.querySelectorAll('*')) if (el.shadowRoot) collect(el.shadowRoot);
  };
  collect(document);
  const visible = el => {
    const box = el.getBoundingClientRect();
    const style = getComputedStyle(el);
    if (style.visibility === 'hidden' || style.display === 'none') return false;
    if (box.width > 0 && box.height > 0) return !el.checkVisibility || el.checkVisibility({ checkVisibilityCSS: true });
    // A styled check box is often an empty element with a visible label.
    return false;
  };
  const one = (root, at, el) => { try { const hits = root.querySelectorAll(at); return hits.length === 1 && hits[0] === el; } catch { return false; } };
  const within = el => {
    const root = el.getRootNode();
    if (el.id && one(root, '#' + CSS.escape(el.id), el)) return '#' + CSS.escape(el.id);
    const tag = el.localName;
    if (el.name) {
      const named = `${tag}[name="${CSS.escape(el.name)}"]`;
      if (one(root, named, el)) return named;
      if (el.form && el.form.id && one(root, `#${CSS.escape(el.form.id)} ${named}`, el)) return `#${CSS.escape(el.form.id)} ${named}`;
    }
    const path = [];
    for (let at = el; at && at.nodeType === 1; at = at.parentElement) {
      const same = at.parentNode ? [...at.parentNode.children].filter(c => c.localName === at.localName) : [at];
      path.unshift(`${at.localName}:nth-of-type(${same.indexOf(at) + 1})`);
      if (one(root, path.join(' > '), el)) break;
    }
    return path.join(' > ');
  };
  const selector = el => {
    const root = el.getRootNode();
    return root.host ? selector(root.host) + ' >>> ' + within(el) : within(el);
  };
  const clean = text => (text || '').replace(/\s+/g, ' ').trim().slice(0, 200);
  const label = el => {
    const parts = [...(el.labels || [])].map(l => l.innerText);
    for (const id of (el.getAttribute('aria-labelledby') || '').split(/\s+/)) if (id) { const by = document.getElementById(id); if (by) parts.push(by.innerText); }
    parts.push(el.getAttribute('aria-label'), el.getAttribute('placeholder'), el.getAttribute('title'));
    return clean(parts.filter(Boolean).join(' '));
  };
  const fields = [], buttons = [];
  for (const el of all) {
    const tag = el.localName, kind = (el.getAttribute('type') || '').toLowerCase();
    if (el.disabled || !visible(el)) continue;
    const input_button = tag === 'input' && ['submit', 'button', 'image', 'reset'].includes(kind);
    if (tag === 'button' || input_button || tag === 'a' || (!['input', 'select', 'textarea'].includes(tag) && el.getAttribute('role') === 'button')) {
      if (kind === 'reset' || (tag === 'a' && !el.hasAttribute('href') && !el.onclick && el.getAttribute('role') !== 'button')) continue;
      const text = clean(el.innerText || (input_button ? el.value || el.alt : '') || el.getAttribute('aria-label') || el.title);
      const submits = !!el.form && (tag === 'button' ? el.type === 'submit' : input_button && (kind === 'submit' || kind === 'image'));
      buttons.push({ at: selector(el), text, name: el.getAttribute('name') || '', value: el.getAttribute('value') || '', submits });
    } else if (kind !== 'hidden') {
      const shown = tag === 'input' ? (kind || 'text') : tag === 'select' ? 'select' : 'textarea';
      const checked = ['checkbox', 'radio'].includes(shown) && !el.checked;
      fields.push({
        at: selector(el), name: el.getAttribute('name') || '', kind: shown,
        autocomplete: el.getAttribute('autocomplete') || '', inputmode: el.getAttribute('inputmode') || '', label: label(el),
        value: shown === 'password' || checked ? '' : String(el.value || '').slice(0, 500),
        max_length: el.maxLength > 0 ? el.maxLength : null,
      });
    }
  }
  const root = document.documentElement;
  return { url: location.href, title: document.title, html: root ? root.outerHTML.slice(0, LIMIT) : '', fields, buttons };
})()
