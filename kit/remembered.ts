/**
 * The latest answer for so long, then asked for anew: once for all who ask meanwhile. For what anybody may ask for in any
 * number, and is not cheap.
 * @param forMs how long an answer is good, in milliseconds from when it came. What fails is not remembered.
 */
export function remembered<Answer>(
  ask: () => Promise<Answer>,
  forMs: number,
  now: () => number = () => performance.now(),
): () => Promise<Answer> {
  let asked: Promise<Answer> | undefined;
  let goodUntil = Number.NEGATIVE_INFINITY;
  return () => {
    if (asked !== undefined && now() < goodUntil) return asked;
    goodUntil = Number.POSITIVE_INFINITY;
    asked = ask().then(
      (answer) => {
        goodUntil = now() + forMs;
        return answer;
      },
      (error) => {
        goodUntil = Number.NEGATIVE_INFINITY;
        throw error;
      },
    );
    return asked;
  };
}
