// Data that is asked for again and again while a page is looked at.
import { useLayoutEffect, useRef, useState } from "preact/hooks";

/**
 * The newest answer of `load(signal)`: {value, error, again}. It is asked every `everyMs` (once, if that is 0) while the
 * page is visible, and at once when one of `on` changes; an answer that fails keeps the value before it.
 */
export function usePolled(load, everyMs, on = []) {
  const [state, setState] = useState({ of: null });
  const again = useRef(() => {});
  const of = JSON.stringify(on);
  useLayoutEffect(() => { // other effects wait until something is painted, and nothing is to be seen yet
    const leaving = new AbortController();
    let timer = 0;
    let busy = false;
    const ask = async () => {
      clearTimeout(timer);
      if (busy) return;
      busy = true;
      try {
        const value = await load(leaving.signal);
        if (!leaving.signal.aborted) setState({ of, value });
      } catch (error) {
        if (!leaving.signal.aborted) setState((before) => ({ of, value: before.of === of ? before.value : undefined, error }));
      }
      busy = false;
      if (everyMs && !leaving.signal.aborted && !document.hidden) timer = setTimeout(ask, everyMs);
    };
    const seen = () => document.hidden || ask();
    again.current = ask;
    if (everyMs) document.addEventListener("visibilitychange", seen);
    ask();
    return () => {
      leaving.abort();
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", seen);
    };
  }, [of]);
  const current = state.of === of ? state : {};
  return { value: current.value, error: current.error, again: () => again.current() };
}
