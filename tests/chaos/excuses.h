// Excuses: why a signal may come to nothing while processes die around it. Any other reason is a
// fault: a pipeline that refuses all there is loses and doubles nothing either. Of closes and
// cancels fewer than of openings: the way out is always open, with the journal down, too.
#pragma once

#include "tools/demo_run/lives.h"

#include <set>
#include <string>
#include <vector>

namespace millrace::chaos {

/// @param of_exits reasons that excuse a close, modify or cancel besides: of what a test does
/// itself.
/// @return a sentence for each way in which signals ended that has no excuse, with how often.
[[nodiscard]] std::vector<std::string> without_excuse(const demo::Lives& lives,
                                                      const std::set<Reason>& of_exits = {});

/// A time in which a test held something up, by the clock of the lives.
struct HeldUp {
    Nanos begin;
    Nanos end;
};

/// @return how many closes, modifies and cancels ended with `reason`, wholly or on an account, that
/// were not under way in any of `times`: what excuses those is no excuse for these.
[[nodiscard]] std::uint64_t exits_ended_outside(const demo::Lives& lives, Reason reason,
                                                const std::vector<HeldUp>& times);

}  // namespace millrace::chaos
