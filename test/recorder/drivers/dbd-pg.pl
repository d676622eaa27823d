# Perl on libpq: statements with names of its own, kept and deallocated, placeholders of three kinds, savepoints, COPY, asynchronous queries.
use strict;
use warnings;
use DBI;
use DBD::Pg qw(:pg_types :async);

my ($dsn, $user, $password) = @ARGV;
my $db = DBI->connect($dsn, $user, $password, { AutoCommit => 1, RaiseError => 1, PrintError => 0, pg_enable_utf8 => 0 });
my @results;
sub keep { push @results, map { join '|', map { ref $_ ? '{' . join(',', @$_) . '}' : $_ // 'null' } @$_ } @{ $_[0]->fetchall_arrayref } }

my $by_id = $db->prepare('SELECT id, name, age, data, tags, big, price FROM member WHERE id = ?');
for my $id (1 .. 4) { $by_id->execute($id); keep($by_id); }
my $named = $db->prepare('SELECT :one::int + :two::int, :one::int');
$named->bind_param(':one', 40);
$named->bind_param(':two', 2);
$named->execute;
keep($named);
my $bytes = $db->prepare('UPDATE member SET raw = $1 WHERE id = $2 RETURNING id');
$bytes->bind_param(1, "\x00\xfe", { pg_type => PG_BYTEA });
$bytes->bind_param(2, 3);
$bytes->execute;
keep($bytes);
undef $bytes;

$db->begin_work;
my $insert = $db->prepare('INSERT INTO member (name, age) VALUES (?, ?) RETURNING id');
for my $i (1 .. 10) { $insert->execute("d$i", $i % 3 ? $i : undef); keep($insert); }
$db->pg_savepoint('s');
eval { $db->do('SELECT 1 / ?::int', undef, 0) };
push @results, $db->state;
$db->pg_rollback_to('s');
$db->commit;

$db->do('COPY member (name, age) FROM STDIN');
$db->pg_putcopydata("c$_\t$_\n") for 1 .. 20;
$db->pg_putcopyend;
$db->do('COPY (SELECT id, name FROM member WHERE id < 4 ORDER BY id) TO STDOUT');
my $line;
push @results, $line while $db->pg_getcopydata($line) >= 0;

my $later = $db->prepare('SELECT count(*) FROM member', { pg_async => PG_ASYNC });
$later->execute;
$db->pg_result;
keep($later);
$db->do('DELETE FROM member WHERE id = 5; UPDATE member SET age = 0 WHERE id = 6');
$db->disconnect;
print join "\n", @results;
