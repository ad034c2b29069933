/* Vemetric browser client @VERSION@, MIT licence, Copyright (c) 2025 Vemetric. Sends to the server it was loaded from unless told otherwise. */
(function () {
  var script = document.currentScript;
  var options = window.vmtrcOptions || { token: "" };
  if (!options.host && !(script && script.getAttribute("data-host"))) {
    if (!script || !script.src) {
      console.error("Vemetric: cannot tell where this script was loaded from; please set data-host or the option host.");
      return;
    }
    options.host = new URL(script.src).origin + "@BASE_PATH@";
  }
  window.vmtrcOptions = options;
  /* @CLIENT@ */
})();
