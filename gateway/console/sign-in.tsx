import { type FormEvent, useId, useState } from 'react';
import { fromToken, signIn } from './session.ts';

/** Asks for a token. Where it comes from is not the console's business: from an issuer, or from the command line. */
export function SignIn() {
  const [given, setGiven] = useState('');
  const [problem, setProblem] = useState('');
  const field = useId();
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const session = fromToken(given);
    if (session === undefined) setProblem('This is not a token of the platform, or it has expired.');
    else signIn(session);
  };
  return (
    <main className="sign-in">
      <form onSubmit={submit} className="card">
        <img src="/icon.svg" alt="" width="40" height="40" />
        <h1>Causeway</h1>
        <label htmlFor={field}>Your token</label>
        <textarea
          id={field}
          rows={4}
          required
          autoComplete="off"
          spellCheck={false}
          aria-invalid={problem !== ''}
          aria-describedby={`${field}-help`}
          value={given}
          onChange={(event) => {
            setGiven(event.target.value);
            setProblem('');
          }}
        />
        <p
          id={`${field}-help`}
          className={problem === '' ? 'muted' : 'wrong'}
          role={problem === '' ? undefined : 'alert'}
        >
          {problem === ''
            ? "An operator's shows everything, a customer's their own orders. On a local platform:"
            : problem}
        </p>
        <pre>npm run -s causeway -- token --role operator --subject me</pre>
        <button type="submit" className="main">
          Sign in
        </button>
      </form>
    </main>
  );
}
