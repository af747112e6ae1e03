import http from "node:http";
import pg from "pg";

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL });

const server = http.createServer(async (request, response) => {
  const { rows } = await pool.query("SELECT count(*) FROM orders");
  response.setHeader("Content-Type", "application/json");
  response.end(JSON.stringify({ orders: Number(rows[0].count) }));
});

server.listen(Number(process.env.PORT), "0.0.0.0");
process.on("SIGTERM", () => server.close(() => pool.end()));
