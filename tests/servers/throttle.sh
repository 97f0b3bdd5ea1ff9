#!/bin/sh
# A policy delegate of Postfix's: lets a session begin $1 messages, and ends it with 421 at the next.
# Postfix asks at each MAIL: attributes, a line each, and an empty line. Each of its servers, which has one session at
# a time, talks to a delegate of its own.
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
