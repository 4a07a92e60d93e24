import java.math.BigDecimal;
import java.sql.Array;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.Date;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Timestamp;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;

/** What Trino's JDBC driver does with a warehouse. Prints what held. */
public class Read {
    static void check(boolean holds, Object got) {
        if (!holds) {
            throw new AssertionError(String.valueOf(got));
        }
    }

    static List<String> names(ResultSet rows, int column) throws SQLException {
        List<String> found = new ArrayList<>();
        while (rows.next()) {
            found.add(rows.getString(column));
        }
        return found;
    }

    public static void main(String[] arguments) throws Exception {
        Properties who = new Properties();
        who.setProperty("user", "ana");
        String address = "jdbc:trino://127.0.0.1:" + arguments[0] + "/awsdatacatalog/shop";
        try (Connection connection = DriverManager.getConnection(address, who)) {
            types(connection);
            metadata(connection);
            prepared(connection);
            stopped(connection);
            transaction(connection);
        }
    }

    static void types(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement();
                ResultSet row = statement.executeQuery("select *, X'6869' as octets from every where id = 'full'")) {
            check(row.next(), "no row");
            check(row.getByte("tiny") == -128 && row.getShort("small") == 32767 && row.getInt("n") == -5, "integers");
            check(row.getLong("big") == 1L << 62, row.getLong("big"));
            check(row.getFloat("share") == 0.1f && row.getDouble("x") == 2.5e300, "floats");
            check(row.getBigDecimal("price").equals(new BigDecimal("1.5000")), row.getBigDecimal("price"));
            check(row.getBigDecimal("large").compareTo(new BigDecimal("12345.0625")) == 0, row.getBigDecimal("large"));
            check(row.getBoolean("ok"), "boolean");
            check(row.getDate("day").equals(Date.valueOf("2026-01-31")), row.getDate("day"));
            check(row.getTimestamp("at").equals(Timestamp.valueOf("2026-01-31 12:00:00.5")), row.getTimestamp("at"));
            check(row.getString("code").equals("abc") && new String(row.getBytes("octets")).equals("hi"), "texts");
            Array tags = row.getArray("tags");
            check(((Object[]) tags.getArray()).length == 2, tags);
            check(((Map<?, ?>) row.getObject("m")).get("k").equals(1), row.getObject("m"));
            check(row.getObject("device").toString().contains("320"), row.getObject("device"));
            check(row.getArray("deep") != null, "deep");
            System.out.println("reads every type of a column");
            ResultSetMetaData columns = row.getMetaData();
            check(columns.getColumnTypeName(8).equals("decimal(9,4)") && columns.getPrecision(8) == 9, columns.getColumnTypeName(8));
        }
        try (Statement statement = connection.createStatement();
                ResultSet row = statement.executeQuery("select * from every where id = 'empty'")) {
            check(row.next(), "no row");
            for (int column = 2; column < row.getMetaData().getColumnCount(); column++) {
                check(row.getObject(column) == null && row.wasNull(), row.getMetaData().getColumnName(column));
            }
            System.out.println("reads NULL of every type");
        }
    }

    static void metadata(Connection connection) throws SQLException {
        DatabaseMetaData about = connection.getMetaData();
        check(names(about.getCatalogs(), 1).contains("awsdatacatalog"), "catalogs");
        check(names(about.getSchemas("awsdatacatalog", null), 1).contains("shop"), "schemas");
        List<String> tables = names(about.getTables("awsdatacatalog", "shop", "%", null), 3);
        check(tables.contains("every") && tables.contains("orders"), tables);
        List<String> columns = names(about.getColumns("awsdatacatalog", "shop", "orders", "%"), 4);
        check(columns.equals(List.of("id", "customer", "amount", "at", "inserted_at")), columns);
        check(names(about.getTableTypes(), 1).contains("TABLE"), "table types");
        check(about.getDatabaseProductName().equals("Trino"), about.getDatabaseProductName());
        System.out.println("DatabaseMetaData: catalogs, schemas, tables, columns, table types");
    }

    static void prepared(Connection connection) throws SQLException {
        try (PreparedStatement asked = connection.prepareStatement("select count(*) from orders where customer = ? and amount > ? and at >= ?")) {
            asked.setString(1, "c1");
            asked.setDouble(2, 15);
            asked.setTimestamp(3, Timestamp.valueOf("2026-01-01 00:00:00"));
            ResultSet row = asked.executeQuery();
            check(row.next() && row.getLong(1) == 29, "count");
            check(asked.getMetaData().getColumnTypeName(1).equals("bigint"), asked.getMetaData().getColumnTypeName(1));
            check(asked.getParameterMetaData().getParameterCount() == 3, "parameters");
        }
        System.out.println("PreparedStatement: values, types of its result, number of parameters");
    }

    static void stopped(Connection connection) throws Exception {
        try (Statement statement = connection.createStatement()) {
            Thread stop = new Thread(() -> {
                try {
                    Thread.sleep(1000);
                    statement.cancel();
                } catch (Exception error) {
                    throw new RuntimeException(error);
                }
            });
            stop.start();
            statement.executeQuery("select count(*) from unnest(sequence(1, 10000)) a(x), unnest(sequence(1, 10000)) b(y), unnest(sequence(1, 10000)) c(z) where x * y * z = -1").next();
            check(false, "it was not stopped");
        } catch (SQLException error) {
            System.out.println("Statement.cancel");
        }
        try (Statement statement = connection.createStatement()) {
            statement.executeQuery("select nope from orders");
            check(false, "no error");
        } catch (SQLException error) {
            check(error.getErrorCode() == 47, error.getErrorCode());
            System.out.println("errors with Trino's codes");
        }
    }

    static void transaction(Connection connection) throws SQLException {
        connection.setAutoCommit(false);
        try (Statement statement = connection.createStatement(); ResultSet row = statement.executeQuery("select 1")) {
            check(row.next() && row.getInt(1) == 1, "row");
        }
        connection.commit();
        connection.setAutoCommit(true);
        connection.setSchema("information_schema");
        check(connection.getSchema().equals("information_schema"), connection.getSchema());
        System.out.println("a transaction; the schema of a connection");
    }
}
