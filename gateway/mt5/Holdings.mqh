// Tells what the account holds now, every position and every pending order, so that the other side
// can hold its books against it. The lists are read twice, some time apart, and told only if both
// readings are the same byte by byte, with nothing of ours on its way. A read that fails and a
// terminal without its connection say nothing, least of all that there is nothing.

#include "Specs.mqh"

#define HOLDINGS_MAX 512

class Holdings
{
private:
    uchar first_[];    // the reading that a second one has to equal
    bool has_first_;
    ulong due_ms_;
    ulong session_;
    bool too_many_;    // said once

    void forget()
    {
        has_first_ = false;
        ArrayResize(first_, 0);
    }

    /// Room for one more row behind the others. @return where it begins.
    int add_row(uchar &rows[], const int kind, const int side, const int price_kind)
    {
        int at = ArraySize(rows);
        ArrayResize(rows, at + HOLDING_BYTES, 16 * HOLDING_BYTES);
        put_u8(rows, at, kind);
        put_u8(rows, at + 1, side);
        put_u8(rows, at + 2, price_kind);
        put_u8(rows, at + 3, 0);
        put_u32(rows, at + 4, (uint)(at / HOLDING_BYTES));
        return at;
    }

    /// @return false if the list could not be read as a whole.
    bool collect_positions(uchar &rows[])
    {
        int n = PositionsTotal();
        for (int i = 0; i < n; i++)
        {
            if (PositionGetTicket(i) == 0)  // selects it
                return false;
            bool buys = PositionGetInteger(POSITION_TYPE) == POSITION_TYPE_BUY;
            int at = add_row(rows, HOLDING_POSITION, buys ? SIDE_BUY : SIDE_SELL, PRICE_MARKET);
            put_u64(rows, at + 8, (ulong)PositionGetInteger(POSITION_IDENTIFIER));
            put_u64(rows, at + 16, (ulong)PositionGetInteger(POSITION_MAGIC));
            put_i64(rows, at + 24, to_scaled(PositionGetDouble(POSITION_VOLUME)));
            put_i64(rows, at + 32, 0);
            put_i64(rows, at + 40, to_scaled(PositionGetDouble(POSITION_SL)));
            put_i64(rows, at + 48, to_scaled(PositionGetDouble(POSITION_TP)));
            put_text(rows, at + 56, TEXT_BYTES, PositionGetString(POSITION_SYMBOL));
        }
        return n == PositionsTotal();
    }

    /// @return false as above, or while one of them is on its way to become something else.
    bool collect_orders(uchar &rows[])
    {
        int n = OrdersTotal();
        for (int i = 0; i < n; i++)
        {
            ulong ticket = OrderGetTicket(i);  // selects it
            if (ticket == 0)
                return false;
            long type = OrderGetInteger(ORDER_TYPE);
            long state = OrderGetInteger(ORDER_STATE);
            bool rests = state == ORDER_STATE_PLACED || state == ORDER_STATE_PARTIAL;
            if (!is_pending_type(type) || !rests)
                return false;
            bool limit = type == ORDER_TYPE_BUY_LIMIT || type == ORDER_TYPE_SELL_LIMIT;
            int at = add_row(rows, HOLDING_ORDER, side_of_order(type),
                             limit ? PRICE_LIMIT : PRICE_STOP);
            put_u64(rows, at + 8, ticket);
            put_u64(rows, at + 16, (ulong)OrderGetInteger(ORDER_MAGIC));
            put_i64(rows, at + 24, to_scaled(OrderGetDouble(ORDER_VOLUME_CURRENT)));
            put_i64(rows, at + 32, to_scaled(OrderGetDouble(ORDER_PRICE_OPEN)));
            put_i64(rows, at + 40, to_scaled(OrderGetDouble(ORDER_SL)));
            put_i64(rows, at + 48, to_scaled(OrderGetDouble(ORDER_TP)));
            put_text(rows, at + 56, TEXT_BYTES, OrderGetString(ORDER_SYMBOL));
        }
        return n == OrdersTotal();
    }

    /// One reading, between two looks at the connection.
    bool collect(uchar &rows[])
    {
        ArrayResize(rows, 0);
        return g_account.may_send() && collect_positions(rows) && collect_orders(rows) &&
               g_account.may_send();
    }

    bool equals_first(const uchar &rows[])
    {
        int n = ArraySize(rows);
        if (!has_first_ || n != ArraySize(first_))
            return false;
        for (int i = 0; i < n; i++)
            if (rows[i] != first_[i])
                return false;
        return true;
    }

    void keep_as_first(const uchar &rows[])
    {
        int n = ArraySize(rows);
        ArrayResize(first_, n);
        for (int i = 0; i < n; i++)
            first_[i] = rows[i];
        has_first_ = true;
    }

    void tell(const uchar &rows[])
    {
        int n = ArraySize(rows) / HOLDING_BYTES;
        if (n > HOLDINGS_MAX)
        {
            if (!too_many_)
                PrintFormat("millrace: %d positions and orders are more than are told: the host "
                            "cannot hold its books against them", n);
            too_many_ = true;
            return;
        }
        uchar row[HOLDING_BYTES];
        for (int i = 0; i < n; i++)
        {
            for (int j = 0; j < HOLDING_BYTES; j++)
                row[j] = rows[i * HOLDING_BYTES + j];
            g_link.send(FRAME_HOLDING, 0, row, HOLDING_BYTES);
        }
        uchar b[HOLDINGS_END_BYTES];
        put_u32(b, 0, (uint)n);
        put_u32(b, 4, crc32c(rows, 0, n * HOLDING_BYTES));
        put_u64(b, 8, g_journal.event_seq);
        g_link.send(FRAME_HOLDINGS_END, 0, b, HOLDINGS_END_BYTES);
    }

public:
    Holdings() { reset(); }
    void reset()
    {
        forget();
        due_ms_ = 0;
        session_ = 0;
        too_many_ = false;
    }

    /// Once in a session as soon as the lists can be believed, then each `holdings_s`.
    /// @param quiet every event has been sent, and nothing received waits to be carried out.
    void update(const ulong session, const bool quiet)
    {
        if (session != session_)
        {
            session_ = session;
            due_ms_ = 0;
            forget();
        }
        if (g_config.holdings_s == 0 || g_link.waiting_bytes() > 0)
            return;
        if (!quiet || !g_account.ready() || g_executor.in_flight() > 0 || g_scanner.hinted())
        {
            forget();  // what was read before may be about to change
            return;
        }
        if (now_ms() < due_ms_)
            return;
        uchar rows[];
        bool whole = collect(rows);
        if (whole && equals_first(rows))
        {
            tell(rows);
            forget();
            due_ms_ = now_ms() + (ulong)g_config.holdings_s * 1000;
            return;
        }
        forget();
        if (whole)
            keep_as_first(rows);
        due_ms_ = now_ms() + (ulong)MathMax(1, g_config.ready_ms / 5);
    }
};

Holdings g_holdings;
