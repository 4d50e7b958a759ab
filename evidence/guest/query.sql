-- What sqlite does while it is recorded: the same, whatever time it is
CREATE TABLE item (id INTEGER PRIMARY KEY, key INTEGER, name TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000)
INSERT INTO item SELECT i, i * 7919 % 4001, printf('item number %d, and what belongs to it', i) FROM n;
CREATE INDEX by_key ON item (key);
.load ./start.so
SELECT count(*), sum(length(b.name)) FROM item AS a JOIN item AS b ON b.key = a.id * 7 % 4001
	WHERE a.id < 1000;
SELECT key % 16, count(*), max(name) FROM item GROUP BY 1;
.load ./stop.so
