-- The functions that the server calls on its own give up on a lock after a second, and are called again later. Otherwise each would
-- keep a database connection for as long as somebody holds the lock.
ALTER FUNCTION perf.record_operations SET lock_timeout = '1s';
ALTER FUNCTION perf.refresh_rollups SET lock_timeout = '1s';
ALTER FUNCTION perf.evaluate_alerts SET lock_timeout = '1s';
ALTER FUNCTION perf.keep_detected SET lock_timeout = '1s';
ALTER FUNCTION perf.baselines_to_learn SET lock_timeout = '1s';
ALTER FUNCTION perf.relearn_baseline SET lock_timeout = '1s';
ALTER FUNCTION perf.reap_spans SET lock_timeout = '1s';
ALTER FUNCTION perf.expire SET lock_timeout = '1s';
ALTER FUNCTION perf.expire_merges SET lock_timeout = '1s';
