const http = require("node:http");

http
  .createServer((request, response) => {
    response.statusCode = 401;
    response.end();
  })
  .listen(8080, "0.0.0.0");
process.on("SIGTERM", () => process.exit(0));
