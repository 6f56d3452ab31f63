import { Link } from 'wouter';

/** Parts of a page that have an address each. */
export function Tabs({
  label,
  tabs,
}: {
  label: string;
  tabs: readonly { name: string; href: string; isHere: boolean }[];
}) {
  return (
    <nav className="tabs" aria-label={label}>
      {tabs.map(({ name, href, isHere }) => (
        <Link key={name} href={href} aria-current={isHere ? 'page' : undefined}>
          {name}
        </Link>
      ))}
    </nav>
  );
}
