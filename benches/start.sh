#!/bin/bash
# The script that the guard replaces: the hand-written start of the first service, with its checks but without the
# migrations. The arguments are the command to execute.

echo "🚀 Démarrage IntoWork Backend sur Railway..."

if [ -z "$NEXTAUTH_SECRET" ]; then
    echo "❌ NEXTAUTH_SECRET non définie"
    exit 1
fi
if [ -z "$DATABASE_URL" ]; then
    echo "❌ DATABASE_URL non définie"
    exit 1
fi
if [ -z "$JWT_SECRET" ]; then
    echo "❌ JWT_SECRET non définie"
    exit 1
fi
if [ -z "$JWT_ALGORITHM" ]; then
    echo "❌ JWT_ALGORITHM non définie"
    exit 1
fi
if [ -z "$RESEND_API_KEY" ]; then
    echo "❌ RESEND_API_KEY non définie"
    exit 1
fi
if [ -z "$FROM_EMAIL" ]; then
    echo "❌ FROM_EMAIL non définie"
    exit 1
fi
if [ -z "$FRONTEND_URL" ]; then
    echo "❌ FRONTEND_URL non définie"
    exit 1
fi

echo "🎯 Démarrage du serveur FastAPI sur le port ${PORT:-8000}..."
exec "$@"
