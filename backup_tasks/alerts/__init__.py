"""Tells people and monitors what the light says, without being asked.

incidents   which reasons of the light are new, and which are over: functions of values
message     what a change says: as JSON, as text
state       the file that remembers what was told
channels    mail, webhook, apprise: each sends one message
outbox      sends messages, and tries again those that could not be sent
watch       looks at the light and tells what changed; the only starter of all that
pings       monitors that miss a run which does not report (Healthchecks)
http        one POST
"""
