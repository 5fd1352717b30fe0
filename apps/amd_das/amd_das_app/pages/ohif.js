// What OHIF is told at its start, in place of the configuration that comes with it. NOTICE is put before this.
"use strict";

/** The upper left corner, which also leads back: what this is, and what it is not for. */
function createLogo(React) {
  const small = { fontSize: "9px", lineHeight: "11px", width: "205px", color: "#f0a58f" };
  return React.createElement(
    "div",
    { id: "amd-das-notice", style: { color: "white" } },
    React.createElement("b", { style: { fontSize: "13px" } }, "AMD-DAS"),
    React.createElement("div", { style: small }, NOTICE),
  );
}

window.config = {
  routerBasename: "/ohif/",
  showStudyList: true,
  extensions: [],
  modes: [],
  showWarningMessageForCrossOrigin: true,
  showCPUFallbackMessage: true,
  showLoadingIndicator: true,
  strictZSpacingForVolumeViewport: true,
  useSharedArrayBuffer: "FALSE",
  whiteLabeling: { createLogoComponentFn: createLogo },
  defaultDataSourceName: "dicomweb",
  dataSources: [
    {
      namespace: "@ohif/extension-default.dataSourcesModule.dicomweb",
      sourceName: "dicomweb",
      configuration: {
        friendlyName: "The PACS behind this server",
        name: "pacs",
        qidoRoot: "/proxy/dicom/qido",
        wadoRoot: "/proxy/dicom/wado",
        wadoUriRoot: "/proxy/dicom/wado",
        imageRendering: "wadors",
        thumbnailRendering: "wadors",
        qidoSupportsIncludeField: true,
        supportsFuzzyMatching: true,
        supportsWildcard: true,
        enableStudyLazyLoad: false,
        supportsReject: false, // the proxy only reads
        dicomUploadEnabled: false,
        bulkDataURI: { enabled: true },
      },
    },
  ],
};
