// Questions asked in the page: is this meant, and what is the token.

const by = (id) => document.getElementById(id);

/** Asks whether something is meant. `danger`: it cannot be undone. */
export function confirm({ title, text, yes, danger = false }) {
  const dialog = by('ask');
  by('ask-title').textContent = title;
  by('ask-text').textContent = text;
  by('ask-yes').textContent = yes;
  by('ask-yes').className = danger ? 'danger' : 'primary';
  return new Promise((resolve) => {
    dialog.returnValue = '';
    by('ask-yes').onclick = () => dialog.close('yes');
    by('ask-no').onclick = () => dialog.close('');
    dialog.onclose = () => resolve(dialog.returnValue === 'yes');
    dialog.showModal();
    by(danger ? 'ask-no' : 'ask-yes').focus();
  });
}

/** Asks for the token; nothing if there is no answer. `refused`: one was tried. */
export function askToken(refused) {
  const dialog = by('token');
  const value = by('token-value');
  const complain = (text) => {
    by('token-wrong').textContent = text;
    by('token-wrong').hidden = !text;
  };
  complain(refused ? 'The daemon did not accept the token.' : '');
  value.value = '';
  return new Promise((resolve) => {
    let given;
    dialog.querySelector('form').onsubmit = () => {
      const text = value.value.trim();
      // A header takes no more than that.
      if (!/^[\x21-\x7e]+$/.test(text)) return complain('A token has visible ASCII characters only.');
      given = text;
      dialog.close();
    };
    by('token-no').onclick = () => dialog.close();
    dialog.onclose = () => {
      value.value = '';
      resolve(given);
    };
    dialog.showModal();
  });
}

export function help() {
  by('help-no').onclick = () => by('help').close();
  by('help').showModal();
}
