// One line per record and output, for reading a failing seed:
//     simulate --from SEED --seeds 1 --trace 1
#pragma once

#include "core/engine.h"

#include <iostream>

namespace millrace::sim {

inline void trace(const JournalRecord& r) {
    std::cout << r.seq.value << " t=" << r.time.value / 1'000'000 % 100'000'000 << " ";
    if (r.type == InputType::Signal) {
        const Signal s = r.as<Signal>();
        std::cout << "signal " << s.id.lo << " action " << static_cast<int>(s.action) << " target "
                  << s.target.lo << " sym " << s.symbol.value << " side "
                  << static_cast<int>(s.side) << " kind " << static_cast<int>(s.price_kind)
                  << " vol " << s.volume.value / 1'000'000;
    } else if (r.type == InputType::Report) {
        const Report p = r.as<Report>();
        std::cout << "report type " << static_cast<int>(p.type) << " acc " << p.account.value
                  << " ev " << p.event_seq << " intent " << p.magic.intent() << "/"
                  << p.magic.attempt() << " exec " << static_cast<int>(p.exec_kind) << " code "
                  << p.retcode << " st "
                  << static_cast<char>(p.ord_status == 0 ? '-' : p.ord_status) << " reason "
                  << p.reason << " vol " << p.volume.value / 1'000'000 << " pos " << p.position_id
                  << " deal " << p.deal_ticket;
    } else {
        std::cout << "input " << static_cast<int>(r.type);
    }
    std::cout << " budget " << r.budget << "\n";
}

inline void trace(const OrderCommand& c) {
    std::cout << "    order " << c.k << " acc " << c.account.value << " intent " << c.magic.intent()
              << "/" << c.magic.attempt() << " type " << static_cast<int>(c.type) << " side "
              << static_cast<int>(c.side) << " kind " << static_cast<int>(c.price_kind) << " vol "
              << c.volume.value / 1'000'000 << " pos " << c.position_ticket << " ord "
              << c.order_ticket << "\n";
}

inline void trace(const SignalResult& r) {
    std::cout << "    result " << r.k << " kind " << static_cast<int>(r.kind) << " signal "
              << r.signal.lo << " acc " << r.account.value << " intent " << Magic{r.magic}.intent()
              << " st " << static_cast<char>(r.ord_status == 0 ? '-' : r.ord_status) << " reason "
              << r.reason << " cum " << r.cum_volume.value / 1'000'000 << "\n";
}

}  // namespace millrace::sim
