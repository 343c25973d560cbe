// Runs before the first paint, so that no page flashes in the wrong theme.
try {
  const theme = localStorage.getItem("mqfast-theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // storage is forbidden: the system's theme
}
