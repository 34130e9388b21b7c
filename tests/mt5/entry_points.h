// The Expert Advisor's event handlers, as the terminal calls them.
#pragma once

#include "tests/mt5/mql5.h"

int ea_init();
void ea_deinit(int reason);
void ea_timer();
void ea_tick();
void ea_transaction(const MqlTradeTransaction& transaction, const MqlTradeRequest& request,
                    const MqlTradeResult& result);
