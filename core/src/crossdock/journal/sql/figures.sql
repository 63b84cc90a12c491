-- name: throughput
SELECT start - start % :bucket AS at, flow, status, took, SUM(runs) AS runs FROM endings
WHERE grain = :grain AND start >= :since AND start < :until AND (:flow IS NULL OR flow = :flow)
GROUP BY 1, 2, 3, 4 ORDER BY 1;

-- name: durations
SELECT upto FROM durations ORDER BY upto;

-- name: forget_endings
DELETE FROM endings WHERE grain = :grain AND start < :before;

-- name: flows
SELECT flow, status, runs,
       (SELECT MIN(created_at) FROM runs WHERE runs.flow = tallies.flow AND runs.status = tallies.status) AS oldest
FROM tallies WHERE runs > 0 ORDER BY flow, status;

-- name: needing
SELECT flow, SUM(runs) AS runs FROM stops WHERE needs_person = 1 GROUP BY flow;

-- name: longest_needing
SELECT * FROM runs WHERE needs_person = 1 ORDER BY created_at, no LIMIT :limit;

-- name: bounds_of_changes
SELECT COALESCE((SELECT MIN(seq) FROM changes), 1) AS oldest, COALESCE((SELECT MAX(seq) FROM changes), 0) AS newest;

-- name: end_of_changes
SELECT MAX(seq) AS seq, COUNT(*) AS number FROM (SELECT seq FROM changes WHERE seq > :after ORDER BY seq LIMIT :limit);

-- name: changed_runs
SELECT runs.* FROM (SELECT run_no, MAX(seq) AS seq FROM changes WHERE seq > :after AND seq <= :last GROUP BY run_no)
  AS changed CROSS JOIN runs ON runs.no = changed.run_no
ORDER BY changed.seq;
