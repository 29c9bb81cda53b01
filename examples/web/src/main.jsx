import { useEffect, useState } from "react";
import { createRoot } from "react-dom/client";

function Summary({ values }) {
  const [summary, setSummary] = useState(null);
  useEffect(() => {
    fetch(`/api/summary?values=${values.join(",")}`).then((reply) => reply.json()).then(setSummary);
  }, [values]);
  return <pre>{summary ? JSON.stringify(summary, null, 2) : "asking…"}</pre>;
}

createRoot(document.getElementById("root")).render(<Summary values={[3, 1, 4, 1, 5, 9, 2, 6]} />);
