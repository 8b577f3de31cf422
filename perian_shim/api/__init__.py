"""The Perian REST API: client, records and errors. Knows nothing of Flyte.

``client.PerianClient`` makes one call per method; ``job_request.CreateJobRequest`` and its parts
are what it sends, ``jobs.Job``, ``catalogue.InstanceType`` and ``pages.Page`` what it returns;
every failure is one of the errors drawn in ``errors``. ``paging.Pager`` is the way through a
listing. What only people's tools need, ``billing``, ``costs`` and ``tokens``, no pod ever loads.

Nothing is imported here: a task's definition needs the errors, and not a client.
"""
