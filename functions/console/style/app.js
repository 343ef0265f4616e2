// Enhancements; pages work without them: times in the reader's zone, and buttons that
// copy.
(() => {
  'use strict';

  const time = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });
  const day = new Intl.DateTimeFormat(undefined, { dateStyle: 'long' });

  function local(root) {
    for (const t of root.querySelectorAll('time[datetime]:not([data-local])')) {
      const at = new Date(t.dateTime);
      if (!isNaN(at)) {
        t.textContent = ('day' in t.dataset ? day : time).format(at);
        t.dataset.local = '';
      }
    }
    for (const field of root.querySelectorAll('input[name=zone]')) {
      field.value = Intl.DateTimeFormat().resolvedOptions().timeZone ?? '';
    }
    for (const field of root.querySelectorAll('input[type=date][data-at]')) {
      // The day of an instant depends on the zone.
      const at = new Date(field.dataset.at);
      const two = (n) => String(n).padStart(2, '0');
      field.value = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
      field.removeAttribute('data-at');
    }
    for (const zone of root.querySelectorAll('[data-zone]')) {
      zone.textContent = 'in your time zone';
    }
    for (const button of root.querySelectorAll('[data-copy]')) {
      button.hidden = false;
    }
  }

  document.addEventListener('click', async (event) => {
    const button = event.target.closest('[data-copy]');
    if (!button) return;
    event.preventDefault();
    const before = button.textContent;
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = 'Copied';
    } catch {
      button.textContent = 'Press Ctrl+C to copy';
      const field = document.getElementById(button.dataset.field);
      field?.select();
    }
    setTimeout(() => { button.textContent = before; }, 2000);
  });

  document.addEventListener('htmx:after:swap', () => local(document));
  local(document);
})();
