// To be used as `.railway/railway.ts`; see README.md. The values of variables stay on Railway: `preserve()` keeps them.
import { defineRailway, postgres, preserve, project, service } from "railway/iac";

export default defineRailway(() => {
  const database = postgres("Postgres");

  const backend = service("backend", {
    start: "startup-guard run",
    preDeploy: "startup-guard check",
    healthcheck: "/health",
    healthcheckTimeout: 300,
    deploy: { drainingSeconds: 15 },
    env: {
      DATABASE_URL: database.env.DATABASE_URL,
      NEXTAUTH_SECRET: preserve(),
      JWT_SECRET: preserve(),
      JWT_ALGORITHM: preserve(),
      RESEND_API_KEY: preserve(),
      FROM_EMAIL: preserve(),
      FRONTEND_URL: preserve(),
      ALLOWED_ORIGINS: preserve(),
    },
  });

  return project("intowork", { resources: [database, backend] });
});
