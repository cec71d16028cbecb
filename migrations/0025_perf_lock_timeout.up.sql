-- What the server does by itself waits a second for a lock at most, and tries again later. Otherwise a table that somebody has
-- locked would take one connection after another from the requests that need none of this.
ALTER FUNCTION perf.record_operations SET lock_timeout = '1s';
ALTER FUNCTION perf.refresh_rollups SET lock_timeout = '1s';
ALTER FUNCTION perf.evaluate_alerts SET lock_timeout = '1s';
ALTER FUNCTION perf.keep_detected SET lock_timeout = '1s';
ALTER FUNCTION perf.baselines_to_learn SET lock_timeout = '1s';
ALTER FUNCTION perf.relearn_baseline SET lock_timeout = '1s';
ALTER FUNCTION perf.reap_spans SET lock_timeout = '1s';
ALTER FUNCTION perf.expire SET lock_timeout = '1s';
ALTER FUNCTION perf.expire_merges SET lock_timeout = '1s';
