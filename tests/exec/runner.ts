/** GitHub's runner, as far as it matters to what a step prints. */

/** Stands for the runner: reads what a step prints from pipes of its own. The name is the one it is known by. */
export const RUNNER = `#!/usr/bin/perl
use strict; use IO::Select;
pipe(my $or, my $ow); pipe(my $er, my $ew);
my $pid = fork();
if (!$pid) { open(STDOUT, '>&', $ow); open(STDERR, '>&', $ew); close $_ for ($or, $ow, $er, $ew); exec @ARGV; }
close $ow; close $ew;
my $select = IO::Select->new($or, $er);
while ($select->count) { for my $in ($select->can_read) {
  if (sysread($in, my $data, 65536)) { syswrite($in == $or ? *STDOUT : *STDERR, $data); } else { $select->remove($in); }
} }
waitpid($pid, 0); exit($? >> 8);
`;
