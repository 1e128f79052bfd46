# Manual pages.

dist_man_MANS += man/redynamo-server.1 man/redynamo-sim.1 man/redynamo.conf.5
