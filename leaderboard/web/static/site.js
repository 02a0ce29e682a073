// Makes the table sortable and connects its filters, which the part of the address after # keeps: a
// page that is loaded with them shows the same lines. Without scripts the page shows the full table.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const headings = [...document.querySelectorAll("#board thead th")];
  const names = headings.map((heading) => heading.dataset.name);
  const filters = document.getElementById("filters");
  const lists = { track: document.getElementById("track"), access: document.getElementById("access") };
  const table = new DataTable("#board", {
    paging: false,
    order: [],
    autoWidth: false,
    layout: { topStart: "search", topEnd: null, bottomStart: "info", bottomEnd: null },
    language: { search: "Search", info: "_TOTAL_ lines", infoEmpty: "No lines", infoFiltered: "of _MAX_" },
    columnDefs: [
      { targets: "high", orderSequence: ["desc", "asc"] },
      { targets: "low", orderSequence: ["asc", "desc"] },
      { targets: "_all", orderSequence: ["asc", "desc"] },
    ],
  });

  const show = () => {
    for (const [name, list] of Object.entries(lists)) {
      table.column(names.indexOf(name)).search(list.value, { exact: list.value !== "" });
    }
    table.draw();
  };

  const restore = () => {
    const wanted = new URLSearchParams(location.hash.slice(1));
    for (const [name, list] of Object.entries(lists)) {
      // Methods are compared within a track, so the first track is selected where none is named.
      const usual = name === "track" ? (list.options[1] || list.options[0]).value : "";
      list.value = wanted.get(name) ?? usual;
      if (list.selectedIndex < 0) list.value = usual;
    }
    const [column, direction] = (wanted.get("sort") ?? "").split(":");
    const known = names.includes(column) && ["asc", "desc"].includes(direction);
    table.search(wanted.get("search") ?? "").order(known ? [names.indexOf(column), direction] : []);
    show();
  };

  const keep = () => {
    const address = new URLSearchParams({ track: lists.track.value });
    if (lists.access.value) address.set("access", lists.access.value);
    if (table.search()) address.set("search", table.search());
    const [order] = table.order();
    // A third click removes the order: its direction is then empty.
    if (order && order[1]) address.set("sort", `${names[order[0]]}:${order[1]}`);
    history.replaceState(null, "", `#${address}`);
  };

  filters.hidden = false;
  filters.addEventListener("submit", (event) => event.preventDefault());
  filters.addEventListener("change", show);
  addEventListener("hashchange", restore);
  restore();
  table.on("draw", keep);
});
