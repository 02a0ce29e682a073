// Makes the table sortable and connects its two filters. Without scripts the page shows the full table.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const [trackColumn, accessColumn] = [1, 2];
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
  const filters = document.getElementById("filters");
  filters.hidden = false;
  filters.addEventListener("submit", (event) => event.preventDefault());
  const connect = (name, column) => {
    const list = document.getElementById(name);
    const apply = () => table.column(column).search(list.value, { exact: list.value !== "" }).draw();
    list.addEventListener("change", apply);
    return apply;
  };
  const byTrack = connect("track", trackColumn);
  connect("access", accessColumn);
  // Methods are compared within a track, so the first track is selected initially.
  document.getElementById("track").selectedIndex = 1;
  byTrack();
});
