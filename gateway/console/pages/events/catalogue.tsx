import { Empty } from '../../parts/answer.tsx';

export default function Catalogue() {
  return <Empty>Nothing yet.</Empty>;
}
