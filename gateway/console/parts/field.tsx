import { type ReactNode, useId } from 'react';

/** What a control needs to belong to its label, its hint and its problem. */
type ControlProps = { id: string; 'aria-invalid'?: true; 'aria-describedby'?: string };

/** A control under its label; a hint and what is wrong with it below. */
export function Field({ label, hint, problem, isWide, children }: Parts) {
  const id = useId();
  const about = [hint && `${id}-hint`, problem && `${id}-problem`].filter(Boolean).join(' ');
  return (
    <div className={isWide ? 'field wide' : 'field'}>
      <label htmlFor={id}>{label}</label>
      {children({
        id,
        ...(problem ? { 'aria-invalid': true } : {}),
        ...(about === '' ? {} : { 'aria-describedby': about }),
      })}
      {hint && (
        <p id={`${id}-hint`} className="hint muted">
          {hint}
        </p>
      )}
      {problem && (
        <p id={`${id}-problem`} className="hint wrong" role="alert">
          {problem}
        </p>
      )}
    </div>
  );
}

type Parts = {
  label: ReactNode;
  hint?: ReactNode;
  /** What is wrong with what was entered. */
  problem?: ReactNode;
  isWide?: boolean;
  children: (control: ControlProps) => ReactNode;
};
