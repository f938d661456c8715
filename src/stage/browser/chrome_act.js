// A function that does one thing on the page: (what, at, value) => 'done' | 'missing' | 'key'. `at` is a CSS selector, with
// ` >>> ` before each part that lies in an open shadow root.
((what, at, value) => {
  let el = document;
  for (const part of at.split(' >>> ')) {
    const root = el === document ? document : el && el.shadowRoot;
    el = root && root.querySelector(part);
  }
  if (!el) return 'missing';
  if (what === 'there') return 'done';
  el.scrollIntoView({ block: 'center' });
  if (what === 'fill') {
    el.focus();
    if (el.isContentEditable) {
      el.textContent = value;
    } else if (el.type === 'checkbox' || el.type === 'radio') {
      if (el.checked !== (value !== '' && value !== 'false')) el.click();
      return 'done';
    } else {
      // The element's own setter, because frameworks shadow it on the instance to notice what they set themselves.
      const proto = el instanceof HTMLTextAreaElement ? HTMLTextAreaElement : el instanceof HTMLSelectElement ? HTMLSelectElement : HTMLInputElement;
      const setter = Object.getOwnPropertyDescriptor(proto.prototype, 'value');
      if (setter && el instanceof proto) setter.set.call(el, value); else el.value = value;
    }
    for (const kind of ['keydown', 'keyup']) el.dispatchEvent(new KeyboardEvent(kind, { bubbles: true, composed: true, key: 'Unidentified' }));
    el.dispatchEvent(new InputEvent('input', { bubbles: true, composed: true, inputType: 'insertText', data: value }));
    el.dispatchEvent(new Event('change', { bubbles: true }));
    return 'done';
  }
  if (what === 'submit') {
    const form = el.form || el.closest('form');
    if (!form) { el.focus(); return 'key'; }
    // The form's default button: the first submit button in tree order.
    const button = [...form.elements].find(b => !b.disabled && (b.localName === 'button' ? b.type === 'submit' : b.type === 'submit' || b.type === 'image'));
    if (button) button.click(); else form.requestSubmit();
    return 'done';
  }
  for (const kind of ['pointerdown', 'mousedown', 'pointerup', 'mouseup']) {
    const Kind = kind.startsWith('pointer') ? PointerEvent : MouseEvent;
    el.dispatchEvent(new Kind(kind, { bubbles: true, cancelable: true, composed: true, view: window, button: 0 }));
  }
  el.click();
  return 'done';
})
