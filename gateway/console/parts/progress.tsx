/** How far something is. @param share 0 to 1; undefined: not known. */
export function Progress({ label, share }: { label: string; share: number | undefined }) {
  return (
    <progress aria-label={label} max={1} value={share}>
      {share === undefined ? '' : `${Math.round(share * 100)} %`}
    </progress>
  );
}
