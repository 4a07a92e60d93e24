{{ config(materialized="table") }}
select customer, amount, rank() over (order by amount desc) as place
from {{ ref("customers") }}
where amount > 2400
