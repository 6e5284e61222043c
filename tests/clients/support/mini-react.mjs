// A stand-in for React that runs hooks without a page.

/** As much of React as one component with four kinds of hooks needs. */
export function miniReact() {
  const cells = [];
  const waiting = new Set();
  let component;
  let cursor;
  let latest;
  let rendering = false;
  let again = false;
  const effects = [];

  /** Renders until no effect asks for more. */
  function render() {
    rendering = true;
    do {
      again = false;
      cursor = 0;
      latest = component();
      effects.splice(0).forEach((run) => run());
    } while (again);
    rendering = false;
    for (const check of waiting) check();
  }

  const sameDependencies = (before, now) => before && now.every((value, index) => Object.is(value, before[index]));
  return {
    useRef: (initial) => (cells[cursor++] ??= { current: initial }),
    useState(initial) {
      const cell = (cells[cursor++] ??= { value: initial });
      return [cell.value, (value) => {
        const next = typeof value === 'function' ? value(cell.value) : value;
        if (Object.is(cell.value, next)) return;
        cell.value = next;
        if (!rendering) render();
        else again = true;
      }];
    },
    useCallback(callback, dependencies) {
      const cell = (cells[cursor++] ??= {});
      if (!sameDependencies(cell.dependencies, dependencies)) Object.assign(cell, { callback, dependencies });
      return cell.callback;
    },
    useEffect(effect, dependencies) {
      const cell = (cells[cursor++] ??= {});
      if (sameDependencies(cell.dependencies, dependencies)) return;
      cell.dependencies = dependencies;
      effects.push(() => {
        cell.cleanup?.();
        cell.cleanup = effect();
      });
    },
    mount(body) {
      component = body;
      render();
      return () => cells.forEach((cell) => cell.cleanup?.());
    },
    result: () => latest,
    until: (pleases) => new Promise((resolve) => {
      const check = () => pleases(latest) && waiting.delete(check) && resolve();
      waiting.add(check);
      check();
    }),
  };
}
