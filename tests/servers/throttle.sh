#!/bin/sh
# A policy server for Postfix: accepts $1 messages in a session, and ends the session with 421 at the next.
# At each MAIL, Postfix sends attributes, one per line, and an empty line. Each smtpd process, which has one session at a
# time, has its own policy server.
session= begun=0
while IFS='=' read -r name value; do
    case $name in
        client_port)
            [ "$value" = "$session" ] || begun=0
            session=$value
            ;;
        '')
            begun=$((begun + 1))
            if [ "$begun" -gt "$1" ]; then
                printf 'action=421 4.7.0 Too many messages in one session\n\n'
            else
                printf 'action=DUNNO\n\n'
            fi
            ;;
    esac
done
