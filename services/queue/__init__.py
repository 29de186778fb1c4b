"""The queue and its workers: Celery on Redis carries hints, the store's jobs say what there is to do."""
