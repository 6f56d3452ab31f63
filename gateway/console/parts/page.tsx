import { type ReactNode, useEffect, useRef } from 'react';

/** A page's head and body. Who comes to it by keyboard or hears it begins at its title. */
export function Page({ title, about, actions, children }: Parts) {
  const head = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} · Causeway`;
    head.current?.focus({ preventScroll: true });
  }, [title]);
  return (
    <>
      <div className="head">
        <div>
          <h1 ref={head} tabIndex={-1}>
            {title}
          </h1>
          {about !== undefined && <p className="muted">{about}</p>}
        </div>
        {actions !== undefined && <div className="actions">{actions}</div>}
      </div>
      {children}
    </>
  );
}

type Parts = { title: string; about?: ReactNode; actions?: ReactNode; children: ReactNode };
