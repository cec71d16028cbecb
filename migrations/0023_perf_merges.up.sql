-- Merges of branches: what each took, phase by phase, and what became of its conflicts.
CREATE TABLE perf.merge_performance_metrics (
    merge_metric_id               bigint          GENERATED ALWAYS AS IDENTITY,
    source_scope                  perf.scope_name NOT NULL,
    target_scope                  perf.scope_name NOT NULL,
    merge_base_commit_hash        perf.text255,
    merge_base_calculation_us     bigint,
    conflict_detection_us         bigint,
    auto_resolution_us            bigint,
    conflict_count                integer         NOT NULL DEFAULT 0,
    auto_resolution_success_count integer         NOT NULL DEFAULT 0,
    auto_resolution_failure_count integer         NOT NULL DEFAULT 0,
    total_merge_us                bigint          NOT NULL,
    merge_status                  text            NOT NULL,
    merge_outcome_details         jsonb,
    user_name                     perf.text255    NOT NULL,
    session_id                    perf.text255,
    started_at                    timestamptz     NOT NULL,
    completed_at                  timestamptz,
    CONSTRAINT perf_merge_performance_metrics_pkey PRIMARY KEY (merge_metric_id),
    CONSTRAINT chk_merge_branches CHECK (source_scope <> target_scope),
    CONSTRAINT chk_merge_status CHECK (merge_status IN ('SUCCESS', 'PARTIAL_SUCCESS', 'FAILED', 'ABANDONED')),
    CONSTRAINT chk_merge_counts CHECK (
        conflict_count >= 0 AND auto_resolution_success_count >= 0 AND auto_resolution_failure_count >= 0
        AND auto_resolution_success_count <= conflict_count),
    CONSTRAINT chk_merge_phases CHECK (
        merge_base_calculation_us >= 0 AND conflict_detection_us >= 0 AND auto_resolution_us >= 0 AND total_merge_us >= 0
        AND coalesce(merge_base_calculation_us, 0)::numeric + coalesce(conflict_detection_us, 0)
            + coalesce(auto_resolution_us, 0) <= total_merge_us),
    CONSTRAINT chk_merge_times CHECK (completed_at >= started_at)
);
CREATE INDEX perf_merge_performance_metrics_started_at_idx ON perf.merge_performance_metrics (started_at DESC);

-- Records a merge that is over now, and that it took so long, as a metric of the scope that it merged into. Answers its id.
CREATE FUNCTION perf.record_merge(
    source text, target text, total_us bigint, base_hash text, base_us bigint, detection_us bigint, conflicts integer,
    resolution_us bigint, resolved integer, unresolved integer, status text, outcome jsonb, by_user text, session text
) RETURNS bigint LANGUAGE plpgsql SET search_path = perf, pg_catalog, pg_temp AS $$
DECLARE
    ended CONSTANT timestamptz := clock_timestamp();
    recorded bigint;
BEGIN
    IF source IS NULL OR target IS NULL OR total_us IS NULL THEN
        PERFORM perf.refuse('give what is merged into what, and p_total_merge_us', 'argument_invalid', '22023');
    END IF;
    INSERT INTO perf.merge_performance_metrics
        (source_scope, target_scope, merge_base_commit_hash, merge_base_calculation_us, conflict_detection_us,
         auto_resolution_us, conflict_count, auto_resolution_success_count, auto_resolution_failure_count, total_merge_us,
         merge_status, merge_outcome_details, user_name, session_id, started_at, completed_at)
    VALUES (source, target, base_hash, base_us, detection_us, resolution_us, coalesce(conflicts, 0), coalesce(resolved, 0),
            coalesce(unresolved, 0), total_us, coalesce(status, 'SUCCESS'), outcome, by_user, session,
            ended - total_us::perf.micros * interval '1 microsecond', ended)
    RETURNING merge_metric_id INTO recorded;
    PERFORM perf.record_performance_metric(
        'merge', total_us, p_user_name => by_user, p_session_id => session, p_scope => target,
        p_failed => coalesce(status, 'SUCCESS') <> 'SUCCESS');
    RETURN recorded;
END
$$;

CREATE FUNCTION perf.record_merge_performance(
    p_source_branch_id integer, p_target_branch_id integer, p_total_merge_us bigint, p_merge_base_hash text DEFAULT NULL,
    p_merge_base_calc_us bigint DEFAULT NULL, p_conflict_detection_us bigint DEFAULT NULL, p_conflict_count integer DEFAULT 0,
    p_auto_resolution_us bigint DEFAULT NULL, p_auto_success_count integer DEFAULT 0,
    p_auto_failure_count integer DEFAULT 0, p_merge_status text DEFAULT 'SUCCESS', p_merge_outcome jsonb DEFAULT NULL,
    p_user_name text DEFAULT CURRENT_USER, p_session_id text DEFAULT NULL
) RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = perf, pg_catalog, pg_temp AS $$
    SELECT perf.record_merge(
        perf.scope_of(p_source_branch_id, NULL), perf.scope_of(p_target_branch_id, NULL), p_total_merge_us, p_merge_base_hash,
        p_merge_base_calc_us, p_conflict_detection_us, p_conflict_count, p_auto_resolution_us, p_auto_success_count,
        p_auto_failure_count, p_merge_status, p_merge_outcome, coalesce(p_user_name, session_user), p_session_id)
$$;

-- The rate is in percent of the conflicts that were tried; NULL where none was.
CREATE VIEW perf.v_merge_performance_summary AS
    SELECT merge_metric_id, source_scope::text AS source_branch, target_scope::text AS target_branch,
           perf.millis(total_merge_us) AS total_duration_ms, perf.millis(merge_base_calculation_us) AS merge_base_calc_ms,
           perf.millis(conflict_detection_us) AS conflict_detect_ms, conflict_count,
           perf.millis(auto_resolution_us) AS auto_resolution_ms, auto_resolution_success_count AS total_conflicts_resolved,
           round(auto_resolution_success_count * 100.0
                 / nullif(auto_resolution_success_count::bigint + auto_resolution_failure_count, 0), 1) AS auto_resolution_success_rate,
           merge_status, user_name::text, started_at, completed_at
    FROM perf.merge_performance_metrics ORDER BY started_at DESC, merge_metric_id DESC;

-- A merge that succeeded in part or was abandoned counts in neither successful_merges nor failed_merges.
CREATE VIEW perf.v_merge_statistics AS
    SELECT source_scope::text AS source_branch, target_scope::text AS target_branch, count(*) AS merge_count,
           perf.millis(avg(total_merge_us)) AS avg_duration_ms, perf.millis(max(total_merge_us)) AS max_duration_ms,
           perf.millis(min(total_merge_us)) AS min_duration_ms, round(avg(conflict_count), 2) AS avg_conflicts,
           max(conflict_count) AS max_conflicts, count(*) FILTER (WHERE merge_status = 'SUCCESS') AS successful_merges,
           count(*) FILTER (WHERE merge_status = 'FAILED') AS failed_merges, max(completed_at) AS last_merge
    FROM perf.merge_performance_metrics GROUP BY source_scope, target_scope
    ORDER BY count(*) DESC, source_scope COLLATE "C", target_scope COLLATE "C";

-- Forgets merges that are older than they are kept.
CREATE FUNCTION perf.expire_merges(kept interval) RETURNS void LANGUAGE sql SET search_path = perf, pg_catalog, pg_temp AS $$
    DELETE FROM perf.merge_performance_metrics WHERE started_at < statement_timestamp() - kept
$$;

REVOKE ALL ON FUNCTION perf.record_merge, perf.expire_merges FROM PUBLIC;
GRANT SELECT ON perf.v_merge_performance_summary, perf.v_merge_statistics TO PUBLIC;
