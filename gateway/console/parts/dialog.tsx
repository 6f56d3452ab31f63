import { type ReactNode, useId, useLayoutEffect, useRef } from 'react';

/** A dialog above the page, closed by Escape. The browser keeps the focus in it and gives it back. */
export function Dialog({ title, onClose, children }: { title: string; onClose: () => void; children: ReactNode }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const name = useId();
  // Closed before it is taken out of the page: only then is the focus given back.
  useLayoutEffect(() => {
    const element = dialog.current;
    element?.showModal();
    return () => element?.close();
  }, []);
  return (
    // It may have been shown again by the time that it hears of being closed: an effect is tried twice in development.
    <dialog
      ref={dialog}
      aria-labelledby={name}
      onCancel={onClose}
      onClose={({ currentTarget }) => currentTarget.open || onClose()}
    >
      <div className="head">
        <h2 id={name}>{title}</h2>
        <button type="button" className="quiet" aria-label="Close" onClick={onClose}>
          ✕
        </button>
      </div>
      {children}
    </dialog>
  );
}
