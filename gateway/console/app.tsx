import { lazy, type ReactNode, Suspense, useState } from 'react';
import { Link, Redirect, Route, Switch, useLocation } from 'wouter';
import { queryClient } from './connection.ts';
import { Loading } from './parts/answer.tsx';
import { Boundary } from './parts/boundary.tsx';
import { type Session, signOut, useSession } from './session.ts';
import { SignIn } from './sign-in.tsx';

type Place = { path: string; name: string; who: 'operator' | 'everybody'; page: React.ComponentType };

const OrderPage = lazy(() => import('./pages/orders/order-page.tsx'));
const EventPage = lazy(() => import('./pages/events/event-page.tsx'));

const places: readonly Place[] = [
  { path: '/', name: 'Overview', who: 'operator', page: lazy(() => import('./pages/overview/overview-page.tsx')) },
  { path: '/orders', name: 'Orders', who: 'everybody', page: lazy(() => import('./pages/orders/orders-page.tsx')) },
  {
    path: '/fulfilments',
    name: 'Fulfilments',
    who: 'operator',
    page: lazy(() => import('./pages/fulfilments/fulfilments-page.tsx')),
  },
  {
    path: '/dead-letters',
    name: 'Dead letters',
    who: 'operator',
    page: lazy(() => import('./pages/dead-letters/dead-letters-page.tsx')),
  },
  {
    path: '/projections',
    name: 'Projections',
    who: 'operator',
    page: lazy(() => import('./pages/projections/projections-page.tsx')),
  },
  { path: '/events', name: 'Events', who: 'operator', page: lazy(() => import('./pages/events/events-page.tsx')) },
];

/** The console: who is not signed in is asked for a token; a customer sees its orders, an operator everything. */
export function App() {
  const session = useSession();
  if (session === undefined) return <SignIn />;
  return <SignedIn key={session.token} session={session} />;
}

function SignedIn({ session }: { session: Session }) {
  const [location] = useLocation();
  const allowed = places.filter(({ who }) => who === 'everybody' || session.role === 'operator');
  return (
    <div className="shell">
      <a className="skip" href="#content">
        Skip to the content
      </a>
      <header className="bar">
        <Link href="/" className="brand">
          <img src="/icon.svg" alt="" width="26" height="26" /> Causeway
        </Link>
        <nav aria-label="Pages">
          {allowed.map(({ path, name }) => (
            <Link key={path} href={path} aria-current={isAt(location, path) ? 'page' : undefined}>
              {name}
            </Link>
          ))}
        </nav>
        <Who session={session} />
      </header>
      <main id="content" tabIndex={-1}>
        <Boundary key={location}>
          <Suspense fallback={<Loading />}>
            <Switch>
              {allowed.map(({ path, page }) => (
                <Route key={path} path={path} component={page} />
              ))}
              <Route path="/orders/:orderId" component={OrderPage} />
              {session.role === 'operator' && <Route path="/events/:stream/:sequence" component={EventPage} />}
              <Route>{session.role === 'customer' && location === '/' ? <Redirect to="/orders" /> : <Nowhere />}</Route>
            </Switch>
          </Suspense>
        </Boundary>
      </main>
    </div>
  );
}

function isAt(location: string, path: string): boolean {
  return path === '/' ? location === '/' : location === path || location.startsWith(`${path}/`);
}

function Who({ session }: { session: Session }): ReactNode {
  const [asks, setAsks] = useState(false);
  const leave = () => {
    queryClient.clear();
    signOut();
  };
  return (
    <div className="who">
      <button type="button" className="quiet" aria-expanded={asks} onClick={() => setAsks(!asks)}>
        {session.subject} <span className="muted">{session.role}</span>
      </button>
      {asks && (
        <button type="button" onClick={leave}>
          Sign out
        </button>
      )}
    </div>
  );
}

function Nowhere() {
  return (
    <section className="state">
      <h1>There is nothing here</h1>
      <p>
        The address is not one of the console's, or not for you. <Link href="/orders">To the orders</Link>
      </p>
    </section>
  );
}
