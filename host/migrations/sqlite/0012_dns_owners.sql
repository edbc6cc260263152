-- Whose a DNS record is, by its name and by its id in its zone: that is asked with every change of a
-- record, among all servers and apps. Triggers keep it, so that no write of a record can forget to.

CREATE TABLE dns_owners (
    value  TEXT NOT NULL,
    server TEXT NOT NULL,
    -- Empty: the server's own record.
    app    TEXT NOT NULL,
    PRIMARY KEY (value, server, app)
) STRICT, WITHOUT ROWID;

CREATE INDEX dns_owners_by_owner ON dns_owners (server, app);

INSERT INTO dns_owners
SELECT DISTINCT value, servers.name, ''
FROM servers, json_tree(servers.record, '$.dns.records')
WHERE key IN ('name', 'id') AND type = 'text';

INSERT INTO dns_owners
SELECT DISTINCT value, apps.server, apps.name
FROM apps, json_tree(apps.record, '$.dns')
WHERE key IN ('name', 'id') AND type = 'text';

-- One name may have several records. (What a trigger says about conflicts does not count where the
-- statement that fires it says something else.)

CREATE TRIGGER servers_dns_new AFTER INSERT ON servers BEGIN
    DELETE FROM dns_owners WHERE server = NEW.name AND app = '';
    INSERT INTO dns_owners
    SELECT DISTINCT value, NEW.name, ''
    FROM json_tree(NEW.record, '$.dns.records')
    WHERE key IN ('name', 'id') AND type = 'text';
END;

CREATE TRIGGER servers_dns_changed AFTER UPDATE OF record ON servers
WHEN OLD.record -> '$.dns.records' IS NOT NEW.record -> '$.dns.records' BEGIN
    DELETE FROM dns_owners WHERE server = NEW.name AND app = '';
    INSERT INTO dns_owners
    SELECT DISTINCT value, NEW.name, ''
    FROM json_tree(NEW.record, '$.dns.records')
    WHERE key IN ('name', 'id') AND type = 'text';
END;

CREATE TRIGGER servers_dns_gone AFTER DELETE ON servers BEGIN
    DELETE FROM dns_owners WHERE server = OLD.name AND app = '';
END;

CREATE TRIGGER apps_dns_new AFTER INSERT ON apps BEGIN
    DELETE FROM dns_owners WHERE server = NEW.server AND app = NEW.name;
    INSERT INTO dns_owners
    SELECT DISTINCT value, NEW.server, NEW.name
    FROM json_tree(NEW.record, '$.dns')
    WHERE key IN ('name', 'id') AND type = 'text';
END;

CREATE TRIGGER apps_dns_changed AFTER UPDATE OF record ON apps
WHEN OLD.record -> '$.dns' IS NOT NEW.record -> '$.dns' BEGIN
    DELETE FROM dns_owners WHERE server = NEW.server AND app = NEW.name;
    INSERT INTO dns_owners
    SELECT DISTINCT value, NEW.server, NEW.name
    FROM json_tree(NEW.record, '$.dns')
    WHERE key IN ('name', 'id') AND type = 'text';
END;

CREATE TRIGGER apps_dns_gone AFTER DELETE ON apps BEGIN
    DELETE FROM dns_owners WHERE server = OLD.server AND app = OLD.name;
END;
